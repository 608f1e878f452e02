// SPDX-License-Identifier: MIT
#pragma once

#include <selgate/core/types.hpp>
#include <selgate/math/exp_log.hpp>

#include <cmath>

namespace selgate {

/// p_e = exp((z_e - max z) / temperature) / sum, on one column of n logits. A logit of -inf gets
/// weight exactly 0. Returns false, with p unspecified, where no such p exists: a NaN or +inf among
/// the logits, or nothing but -inf. p may be z. 4n operations, 5n with a temperature.
template <class S>
bool softmax(const S* z, Index n, S* p, S temperature = S(1)) {
  using std::isfinite;
  S top = z[0];
  for (Index e = 1; e < n; ++e) top = z[e] > top ? z[e] : top;
  if (!isfinite(top)) return false;
  if (temperature == S(1)) {
    for (Index e = 0; e < n; ++e) p[e] = exp(z[e] - top);
  } else {
    for (Index e = 0; e < n; ++e) p[e] = exp((z[e] - top) / temperature);
  }
  S sum(0);
  for (Index e = 0; e < n; ++e) sum += p[e];
  if (!isfinite(sum)) return false;
  for (Index e = 0; e < n; ++e) p[e] = p[e] / sum;
  return true;
}

/// dz += p .* (dp - <p, dp>) / temperature: the Jacobian (diag(p) - p p') of softmax at p times dp.
template <class S>
void softmax_gradient(const S* p, const S* dp, Index n, S* dz, S temperature = S(1)) {
  S dot(0);
  for (Index e = 0; e < n; ++e) dot += p[e] * dp[e];
  if (temperature == S(1)) {
    for (Index e = 0; e < n; ++e) dz[e] += p[e] * (dp[e] - dot);
  } else {
    for (Index e = 0; e < n; ++e) dz[e] += p[e] * (dp[e] - dot) / temperature;
  }
}

}  // namespace selgate
