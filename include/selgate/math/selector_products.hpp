// SPDX-License-Identifier: MIT
#pragma once

#include <selgate/math/binary_code.hpp>
#include <selgate/math/kernel/code_products.hpp>

/// A single-expert selector r (math/binary_code.hpp) on all codes of a cube, and its gradient.
namespace selgate {

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
      const E dot = kernel::contract(x.one.data(), x.zero.data(), x.count, scale, u, rest, prefix,
                                     sums.data());
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

}  // namespace selgate
