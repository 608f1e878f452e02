// SPDX-License-Identifier: MIT
#pragma once

#include <selgate/core/types.hpp>
#include <selgate/math/exp_log.hpp>

namespace selgate {

/// The smooth-step of DSelect-k (Hazimeh et al., 2021, section 3.1): continuously differentiable, and
/// exactly 0 and 1 outside (-gamma/2, gamma/2),
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
template <class S>
struct SmoothStep {
  S v, w;

  [[nodiscard]] S value() const { return v * v * (S(3) - S(2) * v); }
  [[nodiscard]] S complement() const { return w * w * (S(3) - S(2) * w); }
  /// dS/dt.
  [[nodiscard]] S slope(S gamma) const { return S(6) * v * w / gamma; }
  [[nodiscard]] bool is_zero() const { return v == S(0); }
  [[nodiscard]] bool is_one() const { return w == S(0); }
  [[nodiscard]] bool is_binary() const { return is_zero() || is_one(); }

  /// log S and log(1 - S), each to full relative accuracy; for fractional bits.
  [[nodiscard]] S log_value() const { return log_of(v, complement()); }
  [[nodiscard]] S log_complement() const { return log_of(w, value()); }
  /// log((1 - S) / S).
  [[nodiscard]] S log_odds() const {
    return S(2) * log(w / v) + log((S(3) - S(2) * w) / (S(3) - S(2) * v));
  }

 private:
  static S log_of(S half, S complement) {
    return half <= S(0.5) ? S(2) * log(half) + log(S(3) - S(2) * half) : log1p(-complement);
  }
};

template <class S>
SmoothStep<S> smooth_step(S t, S gamma) {
  const S u = t / gamma;
  auto clamp = [](S x) { return x < S(0) ? S(0) : x > S(1) ? S(1) : x; };
  return {clamp(S(0.5) + u), clamp(S(0.5) - u)};
}

/// The limit gamma -> 0, which `harden` uses: 1 where t > 0, else 0. NaN stays NaN.
template <class S>
SmoothStep<S> hard_step(S t) {
  if (t > S(0)) return {S(1), S(0)};
  return {t <= S(0) ? S(0) : t, S(1)};
}

}  // namespace selgate
