// SPDX-License-Identifier: MIT
#pragma once

#include <selgate/core/types.hpp>
#include <selgate/math/smooth_step.hpp>

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

/// One digit of the recurrence of reachable_mass.
template <class E>
E mass_step(bool digit, const SmoothStep<E>& bit, const E& mass) {
  if (!digit) return bit.complement() * mass;
  return kernel::rounded(bit.complement()) + kernel::rounded(E(bit.value() * mass));
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
      ds[j] += kernel::rounded(E(scale * (f - S(1))));
      scale *= bits[j].value();
    } else {
      ds[j] -= kernel::rounded(E(scale * f));
      scale *= bits[j].complement();
    }
  }
}

}  // namespace selgate
