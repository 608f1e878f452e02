// SPDX-License-Identifier: MIT
#pragma once

#include <selgate/core/error.hpp>
#include <selgate/core/visit.hpp>

#include <concepts>
#include <cstddef>
#include <functional>
#include <string>
#include <vector>

namespace selgate {

/// Changes a model by the gradient of its objective:
///
///     Adam<Model> optimizer({.learning_rate = 1e-2}, model);
///     optimizer.step(model, gradient);
///
/// Moments are objects of the model's type, walked beside it, and an optimizer has a `visit` of its
/// own, so its state is saved and restored as a model is. `step` checks all that it will read
/// before it changes anything: it throws shape_error where the blocks of the model or gradient are
/// not those that the optimizer was made for, and numeric_error where a gradient is not finite,
/// both naming the block, and leaves everything as it was. It does not allocate.
template <class O, class M>
concept Optimizer = std::copyable<O> && requires(O& optimizer, const O& made, M& model,
                                                 const typename M::Gradient& gradient) {
  optimizer.step(model, gradient);
  { made.learning_rate() } -> std::same_as<double>;
  optimizer.set_learning_rate(1e-3);
};

/// What momentum means for blocks that a pass did not touch (rows of an embedding, experts that
/// nobody selected). `dense` steps them too, with their gradient of 0: exact, their momentum moves
/// them on. `lazy` leaves them and their moments alone until they are touched again, and costs
/// nothing for them.
enum class Untouched { dense, lazy };

/// f(leaf of the gradient, leaf of each other object) for every block that a step reads.
template <class F, class Gradient, class... Rest>
void for_each_stepped_leaf(Untouched untouched, const F& f, const Gradient& gradient,
                           Rest&... rest) {
  if (untouched == Untouched::dense) {
    for_each_leaf(f, gradient, rest...);
  } else {
    for_each_touched_leaf(f, gradient, rest...);
  }
}

/// The shapes of a model's blocks, as its optimizer remembers them.
class BlockShapes {
 public:
  template <class M>
  explicit BlockShapes(const M& model) {
    for_each_leaf([&](const auto& leaf) { shapes_.push_back(leaf.shape); }, model);
    for_each_named_leaf(
        [&](const std::string&, const auto& leaf) { named_.push_back(leaf.shape); }, model);
  }

  /// Throws shape_error naming the first block in which `object` ("model", "gradient") differs.
  template <class M>
  void require_same(const char* object_name, const M& object) const {
    std::size_t count = 0;
    bool same = true;
    for_each_leaf(
        [&](const auto& leaf) {
          same = same && count < shapes_.size() && leaf.shape == shapes_[count];
          ++count;
        },
        object);
    if (!same || count != shapes_.size()) explain(object_name, object);
  }

 private:
  template <class M>
  [[noreturn]] void explain(const std::string& object_name, const M& object) const {
    std::size_t count = 0;
    for_each_named_leaf(
        [&](const std::string& path, const auto& leaf) {
          const std::string expected =
              count < named_.size() ? text(named_[count]) : "no such block";
          if (text(leaf.shape) != expected) {
            throw shape_error("optimizer: " + object_name + ", block " + path + ": expected " +
                              expected + ", got " + text(leaf.shape));
          }
          ++count;
        },
        object);
    throw shape_error("optimizer: " + object_name + ": expected " + to_text(named_.size()) +
                      " blocks, got " + to_text(count));
  }
  static std::string text(const Shape& shape) {
    std::string sizes;
    for (int i = 0; i < shape.rank; ++i) sizes += (i == 0 ? "" : " x ") + to_text(shape[i]);
    return sizes;
  }

  std::vector<Shape> shapes_;  // of all leaves: few where blocks lie side by side
  std::vector<Shape> named_;   // of all blocks, for messages
};

/// Whether 2^32 squares of every entry would still sum to a finite number: magnitudes up to 2.8e14
/// in float and 2e149 in double, so that no moment overflows. False for NaN. (Where a product
/// overflows, times 0 is NaN, and one NaN makes the sum NaN; a maximum would hide it.)
template <class Entries>
bool all_finite_squares(const Entries& entries) {
  using S = typename Entries::Scalar;
  return (entries.square() * S(0x1p32) * S(0)).sum() == S(0);
}

/// Throws numeric_error naming block and entry (in the order of files) unless all_finite_squares
/// holds for all that a step would read.
template <class S, class Gradient>
void require_finite(Untouched untouched, const Gradient& gradient) {
  const S* bad = nullptr;
  for_each_stepped_leaf(
      untouched,
      [&](const auto& leaf) {
        if (bad != nullptr || all_finite_squares(leaf.array())) return;
        bad = leaf.data;
        while (all_finite_squares(leaf.array().segment(bad - leaf.data, 1))) ++bad;
      },
      gradient);
  if (bad == nullptr) return;
  std::string place;
  for_each_named_leaf(
      [&](const std::string& path, const auto& leaf) {
        constexpr std::less<const S*> before;
        if (!before(bad, leaf.data) && before(bad, leaf.data + leaf.size())) {
          place = path + ", entry " + to_text(bad - leaf.data);
        }
      },
      gradient);
  throw numeric_error("gradient of " + place +
                      ": expected a finite number with a finite square, got " +
                      to_text(static_cast<double>(*bad)));
}

/// All that a step checks before it changes anything.
template <class M, class Gradient>
void require_step(const BlockShapes& shapes, Untouched untouched, const M& model,
                  const Gradient& gradient) {
  shapes.require_same("model", model);
  shapes.require_same("gradient", gradient);
  require_finite<typename M::Scalar>(untouched, gradient);
}

/// The checks of optimizer options. Ranges hold after rounding to the model's scalar: an epsilon
/// that becomes 0 divides 0 by 0, a rate of 0 learns nothing in silence.
template <class S>
void require_learning_rate(std::string_view owner, double rate) {
  require(rate > 0 && rate <= 1e6 && S(rate) > S(0), std::string(owner) + ": learning_rate",
          "in (0, 1e6] as a scalar of the model", rate);
}
template <class S>
void require_epsilon(std::string_view owner, double epsilon) {
  require(epsilon > 0 && epsilon <= 1 && S(epsilon) > S(0), std::string(owner) + ": epsilon",
          "in (0, 1] as a scalar of the model", epsilon);
}
template <class S>
void require_decay(std::string_view what, double factor) {
  require(factor >= 0 && factor < 1 && S(factor) < S(1), what, "in [0, 1) as a scalar of the model",
          factor);
}

}  // namespace selgate
