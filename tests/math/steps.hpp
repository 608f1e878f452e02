// SPDX-License-Identifier: MIT
#pragma once

#include <selgate/math/smooth_step.hpp>

#include <vector>

namespace selgate::test {

template <class S>
using Bits = std::vector<SmoothStep<S>>;

/// The bits of these z, for gamma = 1.
template <class S, class T>
Bits<S> steps(const Vector<T>& z) {
  Bits<S> bits;
  for (const T& at : z) bits.push_back(smooth_step(static_cast<S>(at), S(1)));
  return bits;
}

}  // namespace selgate::test
