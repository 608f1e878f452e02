// SPDX-License-Identifier: MIT
#pragma once

#include <selgate/core/types.hpp>

#include <algorithm>
#include <concepts>
#include <cstdint>
#include <cstring>

namespace selgate {

/// body(i) for each of the n values that is not 0, in ascending order. Zeros side by side are
/// passed over a piece at a time, which a piece without zeros hardly notices. Inlined, or what body
/// writes to would lie in memory.
template <class S, class Body>
[[gnu::always_inline]] inline void for_each_non_zero(const S* values, Index n, const Body& body) {
  constexpr Index piece = 8;
  for (Index i = 0; i < n;) {
    const Index end = std::min(n, i + piece);
    if constexpr (std::same_as<S, float> || std::same_as<S, double>) {
      std::uint64_t bits[piece * sizeof(S) / sizeof(std::uint64_t)], any = 0;
      if (end - i == piece) {
        std::memcpy(bits, values + i, sizeof bits);
        for (const std::uint64_t word : bits) any |= word;
        if (any == 0) i = end;  // -0 has a bit, and is found to be 0 below
      }
    }
    for (; i < end; ++i) {
      if (values[i] != S(0)) body(i);
    }
  }
}

}  // namespace selgate
