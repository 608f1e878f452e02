// SPDX-License-Identifier: MIT
#pragma once

#include <selgate/core/index_set.hpp>
#include <selgate/core/types.hpp>

#include <array>
#include <initializer_list>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

namespace selgate {

/// Sizes of a parameter as files and reference vectors show it: outputs first.
struct Shape {
  static constexpr int max_rank = 4;
  std::array<Index, max_rank> sizes{};
  int rank = 0;

  constexpr Shape(std::initializer_list<Index> list) {
    for (Index size : list) sizes[static_cast<std::size_t>(rank++)] = size;
  }
  [[nodiscard]] constexpr Index operator[](int i) const {
    return sizes[static_cast<std::size_t>(i)];
  }
  [[nodiscard]] constexpr Index size() const {
    Index product = 1;
    for (int i = 0; i < rank; ++i) product *= (*this)[i];
    return product;
  }
  friend bool operator==(const Shape&, const Shape&) = default;
};

/// One contiguous block of parameters (or of their gradient, or of an optimizer's moment).
template <class S>
struct Leaf {
  S* data;
  Shape shape;
  [[nodiscard]] Index size() const { return shape.size(); }
  [[nodiscard]] auto array() const {
    using Array = Eigen::Array<std::remove_const_t<S>, Eigen::Dynamic, 1>;
    return Eigen::Map<std::conditional_t<std::is_const_v<S>, const Array, Array>>(data, size());
  }
};
/// A leaf over a whole Eigen object; in x out storage is (out, in) in a file.
template <class M>
auto leaf(M& matrix, const Shape& shape) {
  return Leaf<std::remove_pointer_t<decltype(matrix.data())>>{matrix.data(), shape};
}
template <class M>
auto leaf(M& matrix) {
  return leaf(matrix, M::ColsAtCompileTime == 1 ? Shape{matrix.rows()}
                                                : Shape{matrix.cols(), matrix.rows()});
}

template <class T>
inline constexpr bool is_leaf = false;
template <class S>
inline constexpr bool is_leaf<Leaf<S>> = true;

/// A name without a number, as in "weight"; an empty name with a number is the number alone.
inline constexpr Index no_index = -1;

/// A module names its parts once, in
///
///     template <class F, class... M> static void visit(F&& f, M&... m) {
///       f("weight", no_index, leaf(m.weight)...);      // a leaf of each object
///       f("tower", 3, m.tower(3)...);                  // or a child module of each object
///     }
///
/// and everything below walks a model, its gradient and its moments side by side. A module whose
/// blocks may stay untouched walks them by for_each_block. A walk asks by its member `blocks` for
///
///   named                     all blocks, each by its name
///   all                       all, where what lies side by side may be one leaf
///   touched, touched_and_clear  those in the `touched` set of the first object, the gradient
///
/// A module whose passes depend on what may change after construction, and is no parameter, names
/// that too, with its setters, for files of weights. A setter takes a value whatever the others are,
/// or throws config_error:
///
///     template <class F> void visit_state(F&& f) const {
///       f("gamma", options_.gamma, &Head::set_gamma);  // a number or bool
///     }
enum class Blocks { named, all, touched, touched_and_clear };
template <class F>
inline constexpr Blocks blocks_of = std::remove_cvref_t<F>::blocks;

/// Calls body(i) for each of the blocks that the walk f wants, or stack() once where it wants all
/// of them and no names.
template <class F, class First, class Body, class Stack>
void for_each_block(const F& f, First& first, Index num_blocks, const Body& body,
                    const Stack& stack) {
  (void)f, (void)first;
  if constexpr (blocks_of<F> == Blocks::named) {
    for (Index i = 0; i < num_blocks; ++i) body(i);
  } else if constexpr (blocks_of<F> == Blocks::all) {
    stack();
  } else {
    if (first.touched.size() == num_blocks) {
      stack();
    } else {
      for (Index i : first.touched) body(i);
    }
    if constexpr (blocks_of<F> == Blocks::touched_and_clear) first.touched.clear();
  }
}
/// The same for blocks that do not lie side by side.
template <class F, class First, class Body>
void for_each_block(const F& f, First& first, Index num_blocks, const Body& body) {
  for_each_block(f, first, num_blocks, body, [&] {
    for (Index i = 0; i < num_blocks; ++i) body(i);
  });
}

namespace detail {

template <Blocks B, class F>
struct LeafWalk {
  static constexpr Blocks blocks = B;
  F& f;
  template <class First, class... Rest>
  void operator()(const char*, Index, First&& first, Rest&&... rest) const {
    if constexpr (is_leaf<std::remove_cvref_t<First>>) {
      f(first, rest...);
    } else {
      std::remove_cvref_t<First>::visit(*this, first, rest...);
    }
  }
};

template <class F>
struct NamedWalk {
  static constexpr Blocks blocks = Blocks::named;
  F& f;
  std::string path;
  template <class First, class... Rest>
  void operator()(const char* name, Index index, First&& first, Rest&&... rest) const {
    std::string full = path;
    auto append = [&full](const std::string& piece) {
      if (!piece.empty()) full += (full.empty() ? "" : ".") + piece;
    };
    append(name);
    if (index != no_index) append(std::to_string(index));
    f(std::as_const(full), first, rest...);
    if constexpr (!is_leaf<std::remove_cvref_t<First>>) {
      std::remove_cvref_t<First>::visit(NamedWalk{f, std::move(full)}, first, rest...);
    }
  }
};

template <Blocks B, class F, class First, class... Rest>
void walk_leaves(F&& f, First& first, Rest&... rest) {
  LeafWalk<B, std::remove_reference_t<F>>{f}("", no_index, first, rest...);
}

}  // namespace detail

/// f(leaf of first, leaf of rest...) for all parameters, in the largest pieces that lie side by
/// side.
template <class F, class First, class... Rest>
void for_each_leaf(F&& f, First& first, Rest&... rest) {
  detail::walk_leaves<Blocks::all>(f, first, rest...);
}
/// The same for the blocks alone that the gradient says a pass has touched.
template <class F, class Gradient, class... Rest>
void for_each_touched_leaf(F&& f, Gradient& gradient, Rest&... rest) {
  detail::walk_leaves<Blocks::touched>(f, gradient, rest...);
}
/// f(path, part of first, part of rest...) for every module, then its parts, down to the leaf of
/// every block: the one walk that joins names, as in "experts.3.weight", in the order of files.
template <class F, class First, class... Rest>
void for_each_named(F&& f, First& first, Rest&... rest) {
  detail::NamedWalk<std::remove_reference_t<F>>{f, {}}("", no_index, first, rest...);
}
/// The same for the leaves alone.
template <class F, class First, class... Rest>
void for_each_named_leaf(F&& f, First& first, Rest&... rest) {
  for_each_named(
      [&f](const std::string& path, auto& part, auto&... parts) {
        if constexpr (is_leaf<std::remove_cvref_t<decltype(part)>>) f(path, part, parts...);
      },
      first, rest...);
}

template <class M>
Index num_parameters(const M& module) {
  Index count = 0;
  for_each_leaf([&](const auto& leaf) { count += leaf.size(); }, module);
  return count;
}
/// Sets what a pass has touched back to zero and forgets that it was touched.
template <class Gradient>
void set_zero(Gradient& gradient) {
  detail::walk_leaves<Blocks::touched_and_clear>([](const auto& leaf) { leaf.array().setZero(); },
                                                 gradient);
}
/// A module of the same type and shapes whose parameters are all zero.
template <class M>
M zeros_like(const M& module) {
  M zeros = module;
  for_each_leaf([](const auto& leaf) { leaf.array().setZero(); }, zeros);
  return zeros;
}
/// All parameters, one after another, in the order of files.
template <class S, class M>
Vector<S> pack(const M& module) {
  Vector<S> flat(num_parameters(module));
  Index at = 0;
  detail::walk_leaves<Blocks::named>(
      [&](const auto& leaf) {
        for (Index i = 0; i < leaf.size(); ++i) flat[at++] = static_cast<S>(leaf.data[i]);
      },
      module);
  return flat;
}
template <class M, class S>
void unpack(const Vector<S>& flat, M& module) {
  Index at = 0;
  detail::walk_leaves<Blocks::named>(
      [&](const auto& leaf) {
        using T = std::remove_cvref_t<decltype(leaf.data[0])>;
        for (Index i = 0; i < leaf.size(); ++i) leaf.data[i] = static_cast<T>(flat[at++]);
      },
      module);
}

}  // namespace selgate
