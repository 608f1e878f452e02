// SPDX-License-Identifier: MIT
#pragma once

#include <selgate/math/kernel/top_k.hpp>

#include <algorithm>
#include <cstdint>

namespace selgate {
namespace detail {

/// Whether z[0..n-1] are all <= limit: not if there is a NaN. n is a multiple of the lanes.
template <class S>
bool all_up_to(const S* z, Index n, S limit) {
  using L = kernel::Lanes<S>;
  auto above = ~(L::load(z) <= limit);
  for (Index e = L::count; e < n; e += L::count) above |= ~(L::load(z + e) <= limit);
  return !kernel::any(above);
}

}  // namespace detail

/// Writes the indices of the k largest of z[0..n-1] to kept, in ascending order of index; among
/// equals the lowest index wins. 1 <= k <= n. Returns false, with kept unspecified, if there is a
/// NaN among the z; where k = n there is nothing to choose, and nobody looks.
template <class S>
bool top_k(const S* z, Index n, Index k, std::int32_t* kept) {
  if (k == n) {
    for (Index e = 0; e < n; ++e) kept[e] = static_cast<std::int32_t>(e);
    return true;
  }
  // kept is sorted: largest first, then lowest index. e goes to `place` or before it.
  auto value = [&](Index place) { return z[kept[place]]; };
  auto insert = [&](Index e, Index place) {
    for (; place > 0 && z[e] > value(place - 1); --place) kept[place] = kept[place - 1];
    kept[place] = static_cast<std::int32_t>(e);
  };
  for (Index e = 0; e < k; ++e) {
    if (z[e] != z[e]) return false;
    insert(e, e);
  }
  S least = value(k - 1);
  constexpr Index block = 16;
  for (Index begin = k; begin < n; begin += block) {
    const Index end = std::min(begin + block, n);
    if constexpr (kernel::Lanes<S>::count > 1) {  // most blocks of a long column have none to keep
      if (end - begin == block && detail::all_up_to(z + begin, block, least)) continue;
    }
    for (Index e = begin; e < end; ++e) {
      if (z[e] <= least) continue;
      if (z[e] != z[e]) return false;
      insert(e, k - 1);
      least = value(k - 1);
    }
  }
  std::sort(kept, kept + k);
  return true;
}

/// The same for every column of z: kept(0..k-1, c), k rows. `tile` is one for k.
template <class S>
bool top_k(const In<S>& z, Index k, std::int32_t* kept, kernel::TopKTile<S>& tile) {
  using Tile = kernel::TopKTile<S>;
  bool numbers = true;
  Index c = 0;
  if constexpr (Tile::columns > 1) {
    for (; k < z.rows() && z.rows() <= Tile::max_rows && c + Tile::columns <= z.cols();
         c += Tile::columns) {
      numbers &= tile.select(z.middleCols(c, Tile::columns), kept + c * k);
    }
  }
  for (; c < z.cols(); ++c) numbers &= top_k(z.col(c).data(), z.rows(), k, kept + c * k);
  return numbers;
}

}  // namespace selgate
