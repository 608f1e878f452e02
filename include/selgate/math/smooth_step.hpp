// SPDX-License-Identifier: MIT
#pragma once

#include <selgate/core/types.hpp>
#include <selgate/math/exp_log.hpp>
#include <selgate/math/kernel/lanes.hpp>

namespace selgate {

/// The smooth-step of DSelect-k (Hazimeh et al., 2021, section 3.1): continuously differentiable,
/// and exactly 0 and 1 outside (-gamma/2, gamma/2),
///
///   S(t) = -2 t^3 / gamma^3 + 3 t / (2 gamma) + 1/2   inside.
///
/// Kept as v = clamp(1/2 + t/gamma, 0, 1) and w = clamp(1/2 - t/gamma, 0, 1), which give
///
///   S = v^2 (3 - 2v),   1 - S = w^2 (3 - 2w),   S' = 6 v w / gamma
///
/// without cancellation: next to the edge the expanded cubic loses a third of its digits. For the
/// same reason a bit is binary iff v or w is exactly 0; thousands of floats below the edge round S
/// to 1 while S' > 0. NaN stays NaN.
///
/// E is a scalar, or a pack of scalars of as many examples (kernel/lanes.hpp); so in all that
/// follows from bits.
template <class E>
struct SmoothStep {
  using S = kernel::scalar_of<E>;
  E v, w;

  [[nodiscard]] E value() const { return v * v * (S(3) - S(2) * v); }
  [[nodiscard]] E complement() const { return w * w * (S(3) - S(2) * w); }
  /// dS/dt.
  [[nodiscard]] E slope(const S& gamma) const { return S(6) * v * w / gamma; }
  [[nodiscard]] auto is_zero() const { return v == S(0); }
  [[nodiscard]] auto is_one() const { return w == S(0); }
  [[nodiscard]] auto is_binary() const { return (v < w ? v : w) == S(0); }

  /// log S and log(1 - S), each to full relative accuracy; for fractional bits.
  struct Logs {
    E value, complement;
  };
  [[nodiscard]] Logs logs() const {
    const auto low = v < w;
    const E small = low ? value() : complement();
    const E log_small = log(small), log_rest = log1p(E(-small));
    return {low ? log_small : log_rest, low ? log_rest : log_small};
  }
  /// log((1 - S) / S).
  [[nodiscard]] E log_odds() const { return log(E(complement() / value())); }
};

template <class E>
SmoothStep<E> smooth_step(const E& t, const kernel::scalar_of<E>& gamma) {
  using S = kernel::scalar_of<E>;
  const E u = t / gamma, zero{}, one = kernel::broadcast<E>(S(1));
  auto clamp = [&](const E& x) { return x < zero ? zero : (x > one ? one : x); };
  return {clamp(S(0.5) + u), clamp(S(0.5) - u)};
}

/// take(b, f(bit b)) in order, f being elementwise: the bits of one column share packs.
template <class E, class F, class Take>
void for_each_bit(const SmoothStep<E>* bits, Index count, const F& f, const Take& take) {
  using L = kernel::Lanes<E>;
  if constexpr (L::count == 1) {
    for (Index b = 0; b < count; ++b) take(b, f(bits[b]));
  } else {
    for (Index first = 0; first < count; first += L::count) {
      const Index lanes = count - first < L::count ? count - first : L::count;
      SmoothStep<typename L::Element> pack{};
      for (Index l = 0; l < lanes; ++l) {
        pack.v[l] = bits[first + l].v;
        pack.w[l] = bits[first + l].w;
      }
      const typename L::Element result = f(pack);
      for (Index l = 0; l < lanes; ++l) take(first + l, result[l]);
    }
  }
}

/// The limit gamma -> 0, which `harden` uses: 1 where t > 0, else 0. NaN stays NaN.
template <class E>
SmoothStep<E> hard_step(const E& t) {
  const E zero{}, one = kernel::broadcast<E>(kernel::scalar_of<E>(1));
  return {t > zero ? one : (t <= zero ? zero : t), t > zero ? zero : one};
}

}  // namespace selgate
