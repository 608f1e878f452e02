// SPDX-License-Identifier: MIT
#pragma once

#include <selgate/math/kernel/pack.hpp>

namespace selgate::kernel {

/// Sum of (z[i] - y[i])^2 over so many neighbours, in doubles.
template <class S>
double squared_error(const S* z, const S* y, Index size) {
  constexpr int lanes = lane_count<double>;
  using Stored [[gnu::vector_size(lanes * sizeof(S)), gnu::aligned(alignof(S)), gnu::may_alias]] =
      S;
  auto wide = [](const S* from) {
    return __builtin_convertvector(*reinterpret_cast<const Stored*>(from), Pack<double>);
  };
  Pack<double> sums[2] = {};
  Index i = 0;
  for (; i + 2 * lanes <= size; i += 2 * lanes) {
    for (int j = 0; j < 2; ++j) {
      const Pack<double> difference = wide(z + i + j * lanes) - wide(y + i + j * lanes);
      sums[j] += difference * difference;
    }
  }
  sums[0] += sums[1];
  double sum = 0;
  for (int l = 0; l < lanes; ++l) sum += sums[0][l];
  for (; i < size; ++i) {
    const double difference = static_cast<double>(z[i]) - static_cast<double>(y[i]);
    sum += difference * difference;
  }
  return sum;
}

}  // namespace selgate::kernel
