// SPDX-License-Identifier: MIT
#pragma once

#include <selgate/core/types.hpp>

#include <cstring>

/// Vectors as gcc and clang have them without intrinsics: right for any instruction set, as wide as
/// the one compiled for. A pack is used through `+ - *` and [lane] like the scalar it is made of.
namespace selgate::kernel {

#if defined(__AVX512F__)
inline constexpr int pack_bytes = 64;
#else
inline constexpr int pack_bytes = 32;
#endif

template <class S>
struct PackOf {
  using type [[gnu::vector_size(pack_bytes)]] = S;
};
template <class S>
using Pack = typename PackOf<S>::type;
template <class S>
inline constexpr Index lane_count = pack_bytes / static_cast<Index>(sizeof(S));

template <class S>
[[gnu::always_inline]] inline void load(const S* from, Pack<S>& pack) {
  std::memcpy(&pack, from, sizeof pack);
}
template <class S>
[[gnu::always_inline]] inline void store(const Pack<S>& pack, S* to) {
  std::memcpy(to, &pack, sizeof pack);
}

}  // namespace selgate::kernel
