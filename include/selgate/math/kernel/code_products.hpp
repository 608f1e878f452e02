// SPDX-License-Identifier: MIT
#pragma once

#include <selgate/math/kernel/lanes.hpp>

#include <bit>

/// double_up and contract of math/selector_products.hpp for one column of float or double, with
/// codes in the lanes. `one` and `zero` are the factors of the free digits, from the lowest on; the
/// lowest few, `lane_digits`, count the lanes of a pack, and there must be as many.
namespace selgate::kernel {

template <class S>
inline constexpr int lane_digits = std::countr_zero(static_cast<unsigned>(Lanes<S>::count));

namespace detail {

/// body(D) for the digits of a lane, as compile-time constants, up or down.
template <int D, int End, class Body>
[[gnu::always_inline]] inline void for_each_digit(const Body& body) {
  if constexpr (D != End) {
    body(std::integral_constant<int, D>{});
    for_each_digit<D + (D < End ? 1 : -1), End>(body);
  }
}

/// Lane l: `one` where digit D of l is 1, else `zero`.
template <int D, class S, std::size_t... L>
Pack<S> by_digit(const S& one, const S& zero, std::index_sequence<L...>) {
  const Pack<S> ones = broadcast<Pack<S>>(one), zeros = broadcast<Pack<S>>(zero);
  return __builtin_shufflevector(zeros, ones, ((L >> D & 1) != 0 ? sizeof...(L) + L : L)...);
}
/// The lanes whose digit D is the other one.
template <int D, class P, std::size_t... L>
P flip_digit(const P& pack, std::index_sequence<L...>) {
  return __builtin_shufflevector(pack, pack, (L ^ std::size_t{1} << D)...);
}
/// Of `other` the lanes whose highest 1 is digit D, of `pack` the rest.
template <int D, class P, std::size_t... L>
P with_group(const P& pack, const P& other, std::index_sequence<L...>) {
  return __builtin_shufflevector(pack, other, (L >> D == 1 ? sizeof...(L) + L : L)...);
}
/// flip_digit in the lanes that have a higher digit 1, the others 0.
template <int D, class P, std::size_t... L>
P flip_in_groups(const P& pack, std::index_sequence<L...>) {
  return __builtin_shufflevector(pack, P{},
                                 (L >> D > 1 ? L ^ std::size_t{1} << D : sizeof...(L) + L)...);
}

}  // namespace detail

/// r[i] = scale * the factors of code i.
template <class S>
void double_up(const S* one, const S* zero, int count, const S& scale, S* r) {
  constexpr int digits = lane_digits<S>;
  constexpr Index lanes = lane_count<S>;
  Pack<S> first = broadcast<Pack<S>>(scale);
  detail::for_each_digit<0, digits>([&](auto d) {
    first *= detail::by_digit<d>(one[d], zero[d], std::make_index_sequence<lanes>{});
  });
  store<S>(first, r);
  Index size = lanes;
  for (int d = digits; d < count; ++d, size *= 2) {
    for (Index i = 0; i < size; i += lanes) {
      const Pack<S> at = Lanes<S>::load(r + i);
      store<S>(at * one[d], r + size + i);
      store<S>(at * zero[d], r + i);
    }
  }
}

/// Returns sum over i of r[i] / scale * u[i], and sets ds[d] to its derivative by one[d], where
/// zero[d] = 1 - one[d], times scale. `rest`, which may be u, and `prefix` have room for 2^count.
template <class S>
S contract(const S* one, const S* zero, int count, const S& scale, const S* u, S* rest, S* prefix,
           S* ds) {
  constexpr int digits = lane_digits<S>;
  constexpr Index lanes = lane_count<S>;
  constexpr auto lane = std::make_index_sequence<lanes>{};
  Pack<S> factor[digits], level[digits + 1];  // products over the lowest 0, 1, 2 ... digits
  level[0] = broadcast<Pack<S>>(scale);
  detail::for_each_digit<0, digits>([&](auto d) {
    factor[d] = detail::by_digit<d>(one[d], zero[d], lane);
    level[d + 1] = level[d] * factor[d];
  });
  store<S>(level[digits], prefix);  // and over more of them, one after another
  Index size = lanes;
  for (int d = digits; d + 1 < count; ++d, size *= 2) {
    const S* from = prefix + size - lanes;
    S* to = prefix + 2 * size - lanes;
    for (Index i = 0; i < size; i += lanes) {
      const Pack<S> at = Lanes<S>::load(from + i);
      store<S>(at * zero[d], to + i);
      store<S>(at * one[d], to + size + i);
    }
  }
  for (int d = count - 1; d >= digits; --d, size /= 2) {
    S* at = prefix + size - lanes;
    for (Index i = 0; i < size; i += lanes) {
      const Pack<S> u0 = Lanes<S>::load(u + i), u1 = Lanes<S>::load(u + size + i);
      store<S>(rounded(Pack<S>(Lanes<S>::load(at + i) * (u1 - u0))), at + i);
      store<S>(rounded(Pack<S>(zero[d] * u0)) + rounded(Pack<S>(one[d] * u1)), rest + i);
    }
    u = rest;
    for (Index half = size / 2; half >= lanes; half /= 2) {
      for (Index i = 0; i < half; i += lanes) {
        store<S>(Lanes<S>::load(at + i) + Lanes<S>::load(at + half + i), at + i);
      }
    }
    Pack<S> sum = Lanes<S>::load(at);
    detail::for_each_digit<digits - 1, -1>(
        [&](auto e) { sum += detail::flip_digit<e>(sum, lane); });
    ds[d] = sum[0];
  }
  Pack<S> last = Lanes<S>::load(u), sums{};  // sums: of digit d in the lanes from 2^d on
  detail::for_each_digit<digits - 1, -1>([&](auto d) {
    const Pack<S> product = level[d] * (last - detail::flip_digit<d>(last, lane));
    sums = detail::with_group<d>(sums, product, lane);
    const Pack<S> weighted = rounded(Pack<S>(last * factor[d]));
    last = weighted + detail::flip_digit<d>(weighted, lane);
  });
  sums = rounded(sums);
  detail::for_each_digit<digits - 1, -1>(
      [&](auto d) { sums += detail::flip_in_groups<d>(sums, lane); });
  detail::for_each_digit<0, digits>([&](auto d) { ds[d] = sums[1 << d]; });
  return last[0];
}

}  // namespace selgate::kernel
