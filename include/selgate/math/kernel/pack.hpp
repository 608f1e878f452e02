// SPDX-License-Identifier: MIT
#pragma once

#include <selgate/core/types.hpp>

#include <type_traits>

/// Vectors as gcc and clang have them without intrinsics: right for any instruction set, as wide as
/// the one compiled for. A pack is used through operators and [lane] like the scalar it is made of.
namespace selgate::kernel {

/// One register: wider vectors are correct too, but gcc keeps their parts in memory.
#if defined(__AVX512F__)
inline constexpr int pack_bytes = 64;
#elif defined(__AVX__)
inline constexpr int pack_bytes = 32;
#else
inline constexpr int pack_bytes = 16;
#endif
inline constexpr int pack_registers = pack_bytes == 64 ? 32 : 16;

template <class S>
struct PackOf {
  using type [[gnu::vector_size(pack_bytes)]] = S;
  using in_memory [[gnu::vector_size(pack_bytes), gnu::aligned(alignof(S)), gnu::may_alias]] = S;
};
template <class S>
using Pack = typename PackOf<S>::type;
template <class S>
inline constexpr Index lane_count = pack_bytes / static_cast<Index>(sizeof(S));

/// Keeps gcc from two things: from reading a pack out of memory again for each of its products,
/// and, where it tunes for Zen, from taking no fused multiply-add in a loop with a single sum,
/// where it does with two (the sum would have other bits).
template <class P>
[[gnu::always_inline]] inline void hold([[maybe_unused]] P& pack) {
#if defined(__x86_64__) && !defined(__clang__)
  asm("" : "+v"(pack));
#endif
}
/// A product that no compiler fuses with a sum of it, so that two kernels round alike.
template <class E>
[[gnu::always_inline]] inline E rounded(E product) {
  if constexpr (!std::is_class_v<E> && !std::is_same_v<E, long double>) hold(product);
  return product;
}
template <class S>
[[gnu::always_inline]] inline void load(const S* from, Pack<S>& pack) {
  pack = *reinterpret_cast<const typename PackOf<S>::in_memory*>(from);
  hold(pack);
}
template <class S>
[[gnu::always_inline]] inline void store(const Pack<S>& pack, S* to) {
  *reinterpret_cast<typename PackOf<S>::in_memory*>(to) = pack;
}

}  // namespace selgate::kernel
