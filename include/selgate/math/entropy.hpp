// SPDX-License-Identifier: MIT
#pragma once

#include <selgate/math/binary_code.hpp>

namespace selgate {

/// Which distribution of a selector the entropy regularizer sees (the same for n = 2^m):
///   all_codes      all 2^m codes (the paper): the sum of the bits' binary entropies
///   reachable      -sum over e < n of r(e) log r(e), not renormalised (the TensorFlow layer)
///   renormalised   that of r / mass on the first n codes
enum class Entropy { all_codes, reachable, renormalised };

/// Masses below this count as this where something is divided by them.
inline constexpr double mass_floor = 1e-6;
template <class S>
S floored_mass(S mass) {
  return mass < S(mass_floor) ? S(mass_floor) : mass;
}

namespace detail {

/// x(s) and x(1-s) of one bit, x(a) = -a log a: 0 for a binary one.
template <class S>
struct BitEntropy {
  S one{0}, zero{0};
  explicit BitEntropy(const SmoothStep<S>& bit) {
    if (!bit.is_binary()) {
      one = -bit.value() * bit.log_value();
      zero = -bit.complement() * bit.log_complement();
    }
  }
};

/// The codes below the digits of n that push has seen: their mass F and entropy sum G, and the
/// entropy H of those bits.
template <class S>
struct PrefixEntropy {
  S f{0}, g{0}, h{0};

  void push(const SmoothStep<S>& bit, bool digit) {
    const BitEntropy<S> x(bit);
    const S s = bit.value(), c = bit.complement();
    if (digit) {
      g = c * h + x.zero + s * g + f * x.one;
      f = c + s * f;
    } else {
      g = c * g + f * x.zero;
      f = c * f;
    }
    h += x.one + x.zero;
  }
};

constexpr bool digit_of(Index n, int j) { return (n >> j & 1) != 0; }

}  // namespace detail

/// Entropy (in nats) of one selector in O(m), for every n.
///
/// From F = G = H = 0, with n_j the digits of n, least significant first,
///
///   n_j = 1:  G <- (1-s) H + x(1-s) + s G + F x(s),   F <- (1-s) + s F
///   n_j = 0:  G <- (1-s) G + F x(1-s),                F <- (1-s) F
///   then      H <- H + x(s) + x(1-s)
///
/// all_codes is H, reachable is G, renormalised is G / F + log F (0 where no mass is left).
template <class S>
S selector_entropy(Entropy kind, Index n, const SmoothStep<S>* bits, int m) {
  if (kind == Entropy::all_codes || n == Index{1} << m) {
    S h(0);
    for (int j = 0; j < m; ++j) {
      const detail::BitEntropy<S> x(bits[j]);
      h += x.one + x.zero;
    }
    return h;
  }
  detail::PrefixEntropy<S> prefix;
  for (int j = 0; j < m; ++j) prefix.push(bits[j], detail::digit_of(n, j));
  if (kind == Entropy::reachable) return prefix.g;
  return prefix.f < S(mass_floor) ? S(0) : prefix.g / prefix.f + log(prefix.f);
}

/// ds[j] += scale * d entropy / d s_j for the fractional bits j: the recurrence above, run backwards.
template <class S>
void selector_entropy_gradient(Entropy kind, Index n, const SmoothStep<S>* bits, int m, S scale,
                               S* ds) {
  if (kind == Entropy::all_codes || n == Index{1} << m) {
    for (int j = 0; j < m; ++j) {
      if (!bits[j].is_binary()) ds[j] += scale * bits[j].log_odds();
    }
    return;
  }
  PerBit<detail::PrefixEntropy<S>> before;
  detail::PrefixEntropy<S> prefix;
  for (int j = 0; j < m; ++j) {
    before[static_cast<std::size_t>(j)] = prefix;
    prefix.push(bits[j], detail::digit_of(n, j));
  }
  S dg = scale, df(0), dh(0);
  if (kind == Entropy::renormalised) {
    if (prefix.f < S(mass_floor)) return;
    dg = scale / prefix.f;
    df = dg * (S(1) - prefix.g / prefix.f);
  }
  for (int j = m - 1; j >= 0; --j) {
    const auto& [f, g, h] = before[static_cast<std::size_t>(j)];
    const detail::BitEntropy<S> x(bits[j]);
    const S s = bits[j].value(), c = bits[j].complement();
    const bool digit = detail::digit_of(n, j);
    if (!bits[j].is_binary()) {
      const S dx_one = -(bits[j].log_value() + S(1)), dx_zero = -(bits[j].log_complement() + S(1));
      ds[j] += dh * bits[j].log_odds();
      if (digit) {
        ds[j] += dg * (g - h - dx_zero + f * dx_one) + df * (f - S(1));
      } else {
        ds[j] -= dg * (g + f * dx_zero) + df * f;
      }
    }
    if (digit) {
      dh += dg * c;
      df = dg * x.one + df * s;
      dg = dg * s;
    } else {
      df = dg * x.zero + df * c;
      dg = dg * c;
    }
  }
}

}  // namespace selgate
