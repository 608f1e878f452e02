// SPDX-License-Identifier: MIT
#pragma once

#include <selgate/core/types.hpp>

#include <cstdint>

namespace selgate {

/// Writes the indices of the k largest of z[0..n-1] to kept, in ascending order of index; among
/// equals the lowest index wins. 1 <= k <= n; z must not hold NaN.
template <class S>
void top_k(const S* z, Index n, Index k, std::int32_t* kept) {
  if (k == n) {
    for (Index e = 0; e < n; ++e) kept[e] = static_cast<std::int32_t>(e);
    return;
  }
  auto value = [&](Index place) { return z[kept[place]]; };
  Index count = 0;  // kept[0..count) is sorted: largest first, then lowest index
  for (Index e = 0; e < n; ++e) {
    if (count == k && !(z[e] > value(k - 1))) continue;
    Index place = count < k ? count++ : k - 1;
    for (; place > 0 && z[e] > value(place - 1); --place) kept[place] = kept[place - 1];
    kept[place] = static_cast<std::int32_t>(e);
  }
  for (Index i = 1; i < k; ++i) {  // insertion sort by index: k is small
    const std::int32_t e = kept[i];
    Index place = i;
    for (; place > 0 && kept[place - 1] > e; --place) kept[place] = kept[place - 1];
    kept[place] = e;
  }
}

}  // namespace selgate
