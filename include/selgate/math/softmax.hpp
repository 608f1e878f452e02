// SPDX-License-Identifier: MIT
#pragma once

#include <selgate/math/exp_log.hpp>
#include <selgate/math/kernel/lanes.hpp>

#include <cmath>

namespace selgate {
namespace detail {

/// The largest of z[0..n-1], if it holds no NaN.
template <class S>
S largest(const S* z, Index n) {
  using L = kernel::Lanes<S>;
  S top = z[0];
  Index e = 0;
  if (n >= L::count) {
    auto tops = L::load(z);
    for (e = L::count; e + L::count <= n; e += L::count) {
      const auto at = L::load(z + e);
      tops = at > tops ? at : tops;
    }
    for (Index l = 0; l < L::count; ++l) {
      const S at = kernel::get_lane(tops, l);
      top = at > top ? at : top;
    }
  }
  for (; e < n; ++e) top = z[e] > top ? z[e] : top;
  return top;
}

/// p_e = exp(exponent(z_e)); returns the sum over e.
template <class S, class Exponent>
S set_exp(const S* z, Index n, S* p, const Exponent& exponent) {
  using L = kernel::Lanes<S>;
  using E = typename L::Element;
  E sums = kernel::broadcast<E>(S(0));
  Index e = 0;
  for (; e + L::count <= n; e += L::count) {
    const E at = exp(E(exponent(L::load(z + e))));
    L::store(at, p + e);
    sums += at;
  }
  S sum = L::sum(sums);
  for (; e < n; ++e) {
    p[e] = exp(S(exponent(z[e])));
    sum += p[e];
  }
  return sum;
}

/// sum over e of x_e y_e.
template <class S>
S dot(const S* x, const S* y, Index n) {
  using L = kernel::Lanes<S>;
  using E = typename L::Element;
  E sums = kernel::broadcast<E>(S(0));
  Index e = 0;
  for (; e + L::count <= n; e += L::count) sums += L::load(x + e) * L::load(y + e);
  S sum = L::sum(sums);
  for (; e < n; ++e) sum += x[e] * y[e];
  return sum;
}

}  // namespace detail

/// p_e = exp((z_e - max z) / temperature) / sum, on one column of n logits. A logit of -inf gets
/// weight exactly 0. Returns false, with p unspecified, where no such p exists: a NaN or +inf among
/// the logits, or nothing but -inf. p may be z. 4n operations, 5n with a temperature.
///
/// n alone decides the order of the sum: the entries of each lane, then the lanes, then the entries
/// too few for a pack of lanes.
template <class S>
bool softmax(const S* z, Index n, S* p, S temperature = S(1)) {
  using std::isfinite;
  const S top = detail::largest(z, n);
  if (!isfinite(top)) return false;
  const auto cold = [&](const auto& at) { return (at - top) / temperature; };
  const auto plain = [&](const auto& at) { return at - top; };
  const S sum =
      temperature == S(1) ? detail::set_exp(z, n, p, plain) : detail::set_exp(z, n, p, cold);
  if (!isfinite(sum)) return false;
  for (Index e = 0; e < n; ++e) p[e] = p[e] / sum;
  return true;
}

/// dz += p .* (dp - <p, dp>) / temperature: the Jacobian (diag(p) - p p') of softmax at p times dp.
/// 5n operations, 6n with a temperature.
template <class S>
void softmax_gradient(const S* p, const S* dp, Index n, S* dz, S temperature = S(1)) {
  const S dot = detail::dot(p, dp, n);
  if (temperature == S(1)) {
    for (Index e = 0; e < n; ++e) dz[e] += p[e] * (dp[e] - dot);
  } else {
    for (Index e = 0; e < n; ++e) dz[e] += p[e] * (dp[e] - dot) / temperature;
  }
}

}  // namespace selgate
