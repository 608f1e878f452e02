// SPDX-License-Identifier: MIT
#pragma once

#include <selgate/core/random.hpp>
#include <selgate/math/smooth_step.hpp>

#include <vector>

namespace selgate {

template <class S>
using Bits = std::vector<SmoothStep<S>>;

/// z of m bits: about a third of them binary, and some of those at the edge, for gamma = 1.
inline Vector<double> draw_bits(int m, Rng& rng) {
  constexpr double binary[] = {-0.5, 0.5, -0.8, 0.9};
  Vector<double> z(m);
  for (double& at : z) at = rng.below(3) == 0 ? binary[rng.below(4)] : rng.uniform(-0.49, 0.49);
  return z;
}
template <class S, class T>
Bits<S> steps(const Vector<T>& z) {
  Bits<S> bits;
  for (const T& at : z) bits.push_back(smooth_step(static_cast<S>(at), S(1)));
  return bits;
}
/// r(e), eq. (4) of the paper.
template <class S>
S literal_product(const Bits<S>& bits, Index e) {
  S r(1);
  for (std::size_t j = 0; j < bits.size(); ++j) {
    r *= (e >> j & 1) != 0 ? bits[j].value() : bits[j].complement();
  }
  return r;
}

}  // namespace selgate
