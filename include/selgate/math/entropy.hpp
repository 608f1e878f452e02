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
template <class E>
E floored_mass(const E& mass) {
  using S = kernel::scalar_of<E>;
  return mass < S(mass_floor) ? kernel::broadcast<E>(S(mass_floor)) : mass;
}

namespace detail {

/// x(s) and x(1-s) of one bit, x(a) = -a log a: 0 for a binary one.
template <class E>
struct BitEntropy {
  E one, zero;
  explicit BitEntropy(const SmoothStep<E>& bit) {
    const auto [log_value, log_complement] = bit.logs();
    one = bit.is_binary() ? E{} : E(-bit.value() * log_value);
    zero = bit.is_binary() ? E{} : E(-bit.complement() * log_complement);
  }
  [[nodiscard]] E sum() const { return one + zero; }
};

/// The codes below the digits of n that push has seen: their mass F and entropy sum G, and the
/// entropy H of those bits.
template <class E>
struct PrefixEntropy {
  E f{}, g{}, h{};

  void push(const SmoothStep<E>& bit, bool digit) {
    const BitEntropy<E> x(bit);
    const E s = bit.value(), c = bit.complement();
    if (digit) {
      g = c * h + x.zero + s * g + f * x.one;
      f = c + s * f;
    } else {
      g = c * g + f * x.zero;
      f = c * f;
    }
    h += x.sum();
  }
};

}  // namespace detail

/// Entropy (in nats) of independent bits: of all codes of one selector, or of several.
template <class E>
E bits_entropy(const SmoothStep<E>* bits, Index count) {
  E sum{};
  for_each_bit(
      bits, count, [](const auto& bit) { return detail::BitEntropy(bit).sum(); },
      [&sum](Index, const E& x) { sum += x; });
  return sum;
}
/// ds[b] += scale * d entropy / d s_b for the fractional bits b.
template <class E>
void bits_entropy_gradient(const SmoothStep<E>* bits, Index count,
                           const kernel::scalar_of<E>& scale, E* ds) {
  for_each_bit(
      bits, count,
      [&scale]<class B>(const SmoothStep<B>& bit) {
        return bit.is_binary() ? B{} : B(scale * bit.log_odds());
      },
      [ds](Index b, const E& slope) { ds[b] += slope; });
}

/// Whether a selector's entropy is that of its bits.
constexpr bool has_independent_bits(Entropy kind, Index n, int m) {
  return kind == Entropy::all_codes || n == Index{1} << m;
}

/// Entropy (in nats) of one selector in O(m), for every n.
///
/// From F = G = H = 0, with n_j the digits of n, least significant first,
///
///   n_j = 1:  G <- (1-s) H + x(1-s) + s G + F x(s),   F <- (1-s) + s F
///   n_j = 0:  G <- (1-s) G + F x(1-s),                F <- (1-s) F
///   then      H <- H + x(s) + x(1-s)
///
/// all_codes is H, reachable is G, renormalised is G / F + log F (0 where no mass is left).
template <class E>
E selector_entropy(Entropy kind, Index n, const SmoothStep<E>* bits, int m) {
  using S = kernel::scalar_of<E>;
  if (has_independent_bits(kind, n, m)) return bits_entropy(bits, m);
  detail::PrefixEntropy<E> prefix;
  for (int j = 0; j < m; ++j) prefix.push(bits[j], detail::digit_of(n, j));
  if (kind == Entropy::reachable) return prefix.g;
  return prefix.f < S(mass_floor) ? E{} : prefix.g / prefix.f + log(prefix.f);
}

/// ds[j] += scale * d entropy / d s_j for the fractional bits j: the recurrence above, run
/// backwards.
template <class E>
void selector_entropy_gradient(Entropy kind, Index n, const SmoothStep<E>* bits, int m,
                               const kernel::scalar_of<E>& scale, E* ds) {
  using S = kernel::scalar_of<E>;
  if (has_independent_bits(kind, n, m)) return bits_entropy_gradient(bits, m, scale, ds);
  if constexpr (kernel::Lanes<E>::count > 1) {
    // A scalar's sums of products might be fused into other bits than a pack's.
    using Pack = typename kernel::Lanes<E>::Element;
    PerBit<SmoothStep<Pack>> pack_bits{};
    PerBit<Pack> pack_ds{};
    for (int j = 0; j < m; ++j) {
      const auto i = static_cast<std::size_t>(j);
      pack_bits[i] = {kernel::broadcast<Pack>(bits[j].v), kernel::broadcast<Pack>(bits[j].w)};
      pack_ds[i] = kernel::broadcast<Pack>(ds[j]);
    }
    selector_entropy_gradient(kind, n, pack_bits.data(), m, scale, pack_ds.data());
    for (int j = 0; j < m; ++j) ds[j] = pack_ds[static_cast<std::size_t>(j)][0];
    return;
  }
  PerBit<detail::PrefixEntropy<E>> before;
  detail::PrefixEntropy<E> prefix;
  for (int j = 0; j < m; ++j) {
    before[static_cast<std::size_t>(j)] = prefix;
    prefix.push(bits[j], detail::digit_of(n, j));
  }
  E dg = kernel::broadcast<E>(scale), df{}, dh{};
  if (kind == Entropy::renormalised) {
    dg = prefix.f < S(mass_floor) ? E{} : dg / prefix.f;
    df = prefix.f < S(mass_floor) ? E{} : dg * (S(1) - prefix.g / prefix.f);
  }
  for (int j = m - 1; j >= 0; --j) {
    const auto& [f, g, h] = before[static_cast<std::size_t>(j)];
    const SmoothStep<E>& bit = bits[j];
    const detail::BitEntropy<E> x(bit);
    const E s = bit.value(), c = bit.complement();
    const auto logs = bit.logs();
    const E dx_one = -(logs.value + S(1)), dx_zero = -(logs.complement + S(1));
    if (detail::digit_of(n, j)) {
      ds[j] += bit.is_binary()
                   ? E{}
                   : dh * bit.log_odds() + dg * (g - h - dx_zero + f * dx_one) + df * (f - S(1));
      dh += dg * c;
      df = dg * x.one + df * s;
      dg = dg * s;
    } else {
      ds[j] += bit.is_binary() ? E{} : dh * bit.log_odds() - dg * (g + f * dx_zero) - df * f;
      df = dg * x.zero + df * c;
      dg = dg * c;
    }
  }
}

}  // namespace selgate
