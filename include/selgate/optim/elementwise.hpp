// SPDX-License-Identifier: MIT
#pragma once

#include <selgate/core/visit.hpp>

#include <type_traits>

namespace selgate {

namespace detail {
/// Entries at, at + 1, ... of a leaf: Size of them, or num where Size is Eigen::Dynamic.
template <int Size, class S>
auto entries(const Leaf<S>& leaf, Index at, Index num = Size) {
  using Array = Eigen::Array<std::remove_const_t<S>, Size, 1>;
  return Eigen::Map<std::conditional_t<std::is_const_v<S>, const Array, Array>>(leaf.data + at,
                                                                                num);
}
}  // namespace detail

/// For a walk over leaves: calls f(entries of each leaf, side by side) on pieces of 32, as in
///
///     auto descend = elementwise([rate](const auto& dw, auto w) { w -= rate * dw; });
///     for_each_leaf(descend, gradient, model);
///
/// Every statement of f runs on a piece in registers, so the leaves pass through memory once
/// however many statements f has. A plain loop over the entries would be 4 to 8 times slower where
/// it takes a root: std::sqrt may set errno, which keeps compilers from vectorising it. (Eigen's
/// root of floats is within 2 ulp where x86 packets serve and correctly rounded elsewhere; that of
/// doubles always is.) f should hold its constants by value: a store through a leaf could change
/// what it refers to.
template <class F>
auto elementwise(F f) {
  return [f](const auto& first, const auto&... rest) {
    constexpr int piece = 32;
    const Index size = first.size(), remainder = size % piece, whole = size - remainder;
    for (Index i = 0; i < whole; i += piece) {
      f(detail::entries<piece>(first, i), detail::entries<piece>(rest, i)...);
    }
    if (remainder != 0) {
      f(detail::entries<Eigen::Dynamic>(first, whole, remainder),
        detail::entries<Eigen::Dynamic>(rest, whole, remainder)...);
    }
  };
}

}  // namespace selgate
