// SPDX-License-Identifier: MIT
#pragma once

#include <selgate/core/types.hpp>
#include <selgate/math/kernel/code_products.hpp>
#include <selgate/math/smooth_step.hpp>

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>

/// Binary codes of experts and the single-expert selector made of them (Hazimeh et al., 2021, eq.
/// (4)).
///
/// Expert e has bit j = (e >> j) & 1, least significant first, j = 0..m-1, m = ceil(log2 n). With
/// bits s_j = S(z_j) a selector puts on code e the weight
///
///   r(e) = prod over j of ( bit j of e ? s_j : 1 - s_j ),      e = 0..2^m - 1.
///
/// A bit that is exactly binary fixes a digit, so the support is a subcube: `base` holds the digits
/// that are 1, `free` marks those still fractional, and r lives on 2^f codes. Everything here costs
/// O(2^f), whatever n.
namespace selgate {

namespace detail {
constexpr std::uint64_t digits(Index mask) { return static_cast<std::uint64_t>(mask); }
constexpr int lowest_digit(Index mask) { return std::countr_zero(digits(mask)); }
constexpr int highest_digit(Index mask) {
  return static_cast<int>(std::bit_width(digits(mask))) - 1;
}
}  // namespace detail

/// m = ceil(log2 n): 0 for one expert.
constexpr int num_bits(Index n) { return n == 1 ? 0 : detail::highest_digit(n - 1) + 1; }
constexpr bool is_power_of_two(Index n) { return std::has_single_bit(detail::digits(n)); }

/// Experts are counted in int32.
inline constexpr int max_bits = 31;
template <class T>
using PerBit = std::array<T, max_bits>;

/// Which codes a selector's bits leave possible.
struct Subcube {
  Index base = 0;  // digits that are 1
  Index free = 0;  // mask of fractional digits

  [[nodiscard]] int num_free() const { return std::popcount(detail::digits(free)); }
  [[nodiscard]] Index size() const { return Index{1} << num_free(); }
  /// The i-th of the codes in ascending order: the digits of i spread over the free ones.
  [[nodiscard]] Index code(Index i) const {
    Index digits = 0;
    for (Index rest = free; rest != 0; rest &= rest - 1, i >>= 1) {
      if ((i & 1) != 0) digits |= rest & -rest;
    }
    return base | digits;
  }
  /// How many of the codes are below n <= 2^m: like reachable_mass, with a digit at a time.
  [[nodiscard]] Index count_below(Index n, int m) const {
    if (n == Index{1} << m) return size();
    Index below = 0, all = 1;  // codes of the digits so far
    for (int j = 0; j < m; ++j) {
      const bool is_one = (base >> j & 1) != 0, is_free = (free >> j & 1) != 0;
      if ((n >> j & 1) != 0) {
        below = is_free ? all + below : is_one ? below : all;
      } else if (is_one) {
        below = 0;
      }
      if (is_free) all *= 2;
    }
    return below;
  }
  /// body(i, code(i)) for i = first..size()-1.
  template <class Body>
  void for_each_from(Index first, const Body& body) const {
    Index digits = code(first) & free;
    for (Index i = first, count = size(); i < count; ++i) {
      body(i, base | digits);
      digits = (digits - free) & free;  // the next subset of the mask
    }
  }
};

template <class S>
Subcube subcube(const SmoothStep<S>* bits, int m) {
  Subcube cube;
  for (int j = 0; j < m; ++j) {
    const Index digit = Index{1} << j;
    if (bits[j].is_one()) {
      cube.base |= digit;
    } else if (!bits[j].is_zero()) {
      cube.free |= digit;
    }
  }
  return cube;
}

namespace detail {

/// Cubes of more free digits are taken as products of two smaller ones, about equal.
inline constexpr int max_undivided = 8;

struct HalfCubes {
  Subcube low, high;
  explicit HalfCubes(const Subcube& cube) {
    high.free = cube.free;
    for (int i = 0; i < (cube.num_free() + 1) / 2; ++i) high.free &= high.free - 1;
    low.free = cube.free & ~high.free;
  }
};

/// What a code has as its factor for each free digit of a cube, from the lowest on.
template <class E>
struct Factors {
  int count = 0;
  PerBit<E> one, zero;
  PerBit<int> digit;

  Factors(const SmoothStep<E>* bits, const Subcube& cube) {
    for (Index rest = cube.free; rest != 0; rest &= rest - 1, ++count) {
      const auto i = static_cast<std::size_t>(count);
      digit[i] = lowest_digit(rest);
      one[i] = bits[digit[i]].value();
      zero[i] = bits[digit[i]].complement();
    }
  }
  /// scale * the smaller factor of each digit that is not binary.
  [[nodiscard]] E smallest(E scale) const {
    const E zeros{}, unit = kernel::broadcast<E>(kernel::scalar_of<E>(1));
    for (std::size_t d = 0; d < static_cast<std::size_t>(count); ++d) {
      const E least = one[d] < zero[d] ? one[d] : zero[d];
      scale *= least == zeros ? unit : least;
    }
    return scale;
  }
  /// Whether to put codes into the lanes.
  [[nodiscard]] bool fill_lanes() const {
    return kernel::Lanes<E>::count > 1 && count >= kernel::lane_digits<E>;
  }
};

/// r[i] = scale * r(code i), by doubling: one multiplication an entry.
template <class E>
void double_up(const Factors<E>& x, const E& scale, E* r) {
  if constexpr (kernel::Lanes<E>::count > 1) {
    if (x.fill_lanes()) {
      return kernel::double_up(x.one.data(), x.zero.data(), x.count, scale, r);
    }
  }
  r[0] = scale;
  Index size = 1;
  for (std::size_t d = 0; d < static_cast<std::size_t>(x.count); ++d, size *= 2) {
    const E one = x.one[d], zero = x.zero[d];
    for (Index i = 0; i < size; ++i) r[size + i] = r[i] * one;
    for (Index i = 0; i < size; ++i) r[i] = r[i] * zero;
  }
}

/// selector_gradient of few free digits.
///
///   From the highest free digit down, u holds the cube contracted with all higher ones: its halves
///   u0 (bit = 0) and u1 (bit = 1) give ds_j = sum prefix_j .* (u1 - u0), prefix_j being the
///   product over the lower bits, and then u <- (1 - s_j) u0 + s_j u1, which is kept in `rest`.
///   A sum adds its halves up until one number is left: where a binary bit makes one half 0, that
///   is the sum of the smaller cube, to the bit.
template <class E>
E contract(const Factors<E>& x, const E& scale, const E* u, E* rest, E* prefix, E* ds) {
  const auto count = static_cast<std::size_t>(x.count);
  if constexpr (kernel::Lanes<E>::count > 1) {
    if (x.fill_lanes()) {
      PerBit<E> sums;
      const E dot = kernel::contract(x.one.data(), x.zero.data(), x.count, scale, u, rest,
                                     prefix, sums.data());
      for (std::size_t d = 0; d < count; ++d) ds[x.digit[d]] += sums[d];
      return dot;
    }
  }
  E* level = prefix;  // products over the lowest 0, 1, 2 ... free bits, one after another
  level[0] = scale;
  Index size = 1;
  for (std::size_t d = 0; d + 1 < count; ++d, size *= 2) {
    const E one = x.one[d], zero = x.zero[d];
    E* next = level + size;
    for (Index i = 0; i < size; ++i) next[i] = level[i] * zero;
    for (Index i = 0; i < size; ++i) next[size + i] = level[i] * one;
    level = next;
  }
  for (std::size_t d = count; d-- > 0; size /= 2) {
    const E one = x.one[d], zero = x.zero[d];
    for (Index i = 0; i < size; ++i) level[i] = kernel::rounded(E(level[i] * (u[size + i] - u[i])));
    for (Index half = size / 2; half > 0; half /= 2) {
      for (Index i = 0; i < half; ++i) level[i] += level[half + i];
    }
    ds[x.digit[d]] += level[0];
    for (Index i = 0; i < size; ++i) {
      rest[i] = kernel::rounded(E(zero * u[i])) + kernel::rounded(E(one * u[size + i]));
    }
    level -= size / 2;
    u = rest;
  }
  return u[0];
}

}  // namespace detail

/// Entries of scratch that any cube of up to m digits needs below.
constexpr Index selector_scratch(int m) {
  const Index undivided = Index{1} << (m < detail::max_undivided ? m : detail::max_undivided);
  const Index divided = m <= detail::max_undivided ? 0 : 5 * (Index{1} << (m + 1) / 2);
  return 2 * undivided > divided ? 2 * undivided : divided;
}

/// r[i] = scale * r(code i of the cube): one multiplication an entry. Returns the smallest of them,
/// binary digits aside, which tells whether any has underflowed although its code is in the
/// support.
template <class E>
E selector_products(const SmoothStep<E>* bits, const Subcube& cube, const E& scale, E* r,
                    E* scratch) {
  using L = kernel::Lanes<E>;
  if (cube.num_free() <= detail::max_undivided) {
    const detail::Factors<E> factors(bits, cube);
    detail::double_up(factors, scale, r);
    return factors.smallest(scale);
  }
  const detail::HalfCubes halves(cube);
  const detail::Factors<E> low_factors(bits, halves.low), high_factors(bits, halves.high);
  const Index rows = halves.low.size(), columns = halves.high.size();
  E *low = scratch, *high = scratch + rows;
  const E one = kernel::broadcast<E>(kernel::scalar_of<E>(1));
  detail::double_up(low_factors, scale, low);
  detail::double_up(high_factors, one, high);
  for (Index j = 0; j < columns; ++j, r += rows) {
    for (Index i = 0; i < rows; i += L::count) L::store(L::load(low + i) * high[j], r + i);
  }
  return low_factors.smallest(high_factors.smallest(scale));
}

/// Backward of selector_products with scale 1. Returns dot = sum_i r[i] u[i] and ADDS to ds[j] the
/// derivative of `scale * dot` by s_j, for the free digits j.
///
/// With r = low (x) high, dot = <low, U high> = <high, U' low>: u is read once, for both.
template <class E>
E selector_gradient(const SmoothStep<E>* bits, const Subcube& cube, const E& scale, const E* u,
                    E* scratch, E* ds) {
  if (cube.num_free() <= detail::max_undivided) {
    E* prefix = scratch + cube.size();
    return detail::contract(detail::Factors<E>(bits, cube), scale, u, scratch, prefix, ds);
  }
  using L = kernel::Lanes<E>;
  const detail::HalfCubes halves(cube);
  const detail::Factors<E> low_factors(bits, halves.low), high_factors(bits, halves.high);
  const Index rows = halves.low.size(), columns = halves.high.size();
  E *low = scratch, *high = low + rows, *u_low = high + columns, *u_high = u_low + rows;
  E* prefix = u_high + columns;
  const E one = kernel::broadcast<E>(kernel::scalar_of<E>(1));
  detail::double_up(low_factors, one, low);
  detail::double_up(high_factors, one, high);
  for (Index i = 0; i < rows; ++i) u_low[i] = E{};
  constexpr Index block = 4;  // columns
  for (Index j = 0; j < columns; j += block, u += block * rows) {
    typename L::Element sums[block] = {};
    for (Index i = 0; i < rows; i += L::count) {
      const auto low_i = L::load(low + i);
      auto u_low_i = L::load(u_low + i);
#pragma GCC unroll 4
      for (Index c = 0; c < block; ++c) {
        const auto u_ic = L::load(u + c * rows + i);
        sums[c] += low_i * u_ic;
        u_low_i += high[j + c] * u_ic;
      }
      L::store(u_low_i, u_low + i);
    }
#pragma GCC unroll 4
    for (Index c = 0; c < block; ++c) u_high[j + c] = L::sum(sums[c]);
  }
  detail::contract(high_factors, scale, u_high, u_high, prefix, ds);
  return detail::contract(low_factors, scale, u_low, u_low, prefix, ds);
}

namespace detail {

/// One digit of the recurrence of reachable_mass.
template <class E>
E mass_step(bool digit, const SmoothStep<E>& bit, const E& mass) {
  return digit ? bit.complement() + bit.value() * mass : bit.complement() * mass;
}
constexpr bool digit_of(Index n, int j) { return (n >> j & 1) != 0; }

}  // namespace detail

/// Mass that a selector leaves on the first n codes, in O(m): the distribution function of a binary
/// number with independent digits at n - 1. With F_0 = 0 and n_j the digits of n,
///
///   F_{j+1} = n_j ? (1 - s_j) + s_j F_j : (1 - s_j) F_j,      mass = F_m  (1 where n = 2^m).
template <class E>
E reachable_mass(Index n, const SmoothStep<E>* bits, int m) {
  if (n == Index{1} << m) return kernel::broadcast<E>(kernel::scalar_of<E>(1));
  E mass{};
  for (int j = 0; j < m; ++j) mass = detail::mass_step(detail::digit_of(n, j), bits[j], mass);
  return mass;
}

/// ds[j] += scale * d mass / d s_j, for n < 2^m.
template <class E>
void reachable_mass_gradient(Index n, const SmoothStep<E>* bits, int m, E scale, E* ds) {
  using S = kernel::scalar_of<E>;
  PerBit<E> before;  // F_j
  E mass{};
  for (int j = 0; j < m; ++j) {
    before[static_cast<std::size_t>(j)] = mass;
    mass = detail::mass_step(detail::digit_of(n, j), bits[j], mass);
  }
  for (int j = m - 1; j >= 0; --j) {
    const E& f = before[static_cast<std::size_t>(j)];
    if (detail::digit_of(n, j)) {
      ds[j] += scale * (f - S(1));
      scale *= bits[j].value();
    } else {
      ds[j] -= scale * f;
      scale *= bits[j].complement();
    }
  }
}

}  // namespace selgate
