// SPDX-License-Identifier: MIT
#pragma once

#include <selgate/math/kernel/lanes.hpp>

namespace selgate::kernel {

/// Sum of (z[i] - y[i])^2 over so many neighbours: differences as S has them, squares in doubles.
template <class S>
double squared_error(const S* z, const S* y, Index size) {
  constexpr int lanes = lane_count<double>, packs = 4;
  using Stored [[gnu::vector_size(lanes * sizeof(S)), gnu::aligned(alignof(S)), gnu::may_alias]] =
      S;
  auto stored = [](const S* from) { return *reinterpret_cast<const Stored*>(from); };
  Pack<double> sums[packs] = {};
  Index i = 0;
  for (; i + packs * lanes <= size; i += packs * lanes) {
#pragma GCC unroll 4
    for (int j = 0; j < packs; ++j) {
      const auto difference = __builtin_convertvector(
          stored(z + i + j * lanes) - stored(y + i + j * lanes), Pack<double>);
      sums[j] += difference * difference;
    }
  }
  double sum = Lanes<double>::sum((sums[0] + sums[1]) + (sums[2] + sums[3]));
  for (; i < size; ++i) {
    const auto difference = static_cast<double>(z[i] - y[i]);
    sum += difference * difference;
  }
  return sum;
}

}  // namespace selgate::kernel
