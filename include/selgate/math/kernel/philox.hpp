// SPDX-License-Identifier: MIT
#pragma once

#include <selgate/math/kernel/pack.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#if defined(__AVX2__)
#include <immintrin.h>
#elif defined(__SSE2__)  // a second of compile time less, and what Eigen includes anyway
#include <emmintrin.h>
#endif

namespace selgate::kernel {

namespace detail {

/// Draws side by side, in registers whose halves can be multiplied: AVX alone has none of 32 bytes.
#if defined(__AVX__) && !defined(__AVX2__)
inline constexpr int draw_bytes = 16;
#else
inline constexpr int draw_bytes = pack_bytes;
#endif
using Draws [[gnu::vector_size(draw_bytes)]] = std::uint64_t;
using HalvesOfDraws [[gnu::vector_size(draw_bytes / 2)]] = std::uint32_t;

/// The 64 bits of the product of each lane's low half with a constant. gcc does not see that 32
/// bits are all there is to multiply: it takes three products for one, and twice the time. (Only
/// measured on x86.)
[[gnu::always_inline]] inline Draws multiply_low(const Draws& draws, std::uint32_t factor) {
  [[maybe_unused]] const Draws factors = factor - Draws{};
#if defined(__AVX512F__)  // masked: gcc 12 warns of the plain one
  return Draws(_mm512_maskz_mul_epu32(0xFF, __m512i(draws), __m512i(factors)));
#elif defined(__AVX2__)
  return Draws(_mm256_mul_epu32(__m256i(draws), __m256i(factors)));
#elif defined(__SSE2__)
  return Draws(_mm_mul_epu32(__m128i(draws), __m128i(factors)));
#else
  return (draws & 0xFFFFFFFF) * std::uint64_t{factor};
#endif
}

}  // namespace detail

/// philox (core/random.hpp) of N consecutive counters, [word][draw]. Each word is the low half of a
/// 64-bit lane; what stands above it is never looked at.
template <std::size_t N>
std::array<std::array<std::uint32_t, N>, 4> philox(std::uint64_t key, std::uint64_t counter_high,
                                                   std::uint64_t counter_low) {
  using detail::Draws, detail::HalvesOfDraws;
  constexpr std::size_t lanes = sizeof(Draws) / sizeof(std::uint64_t), packs = 2;
  static_assert(N % (packs * lanes) == 0);
  std::array<std::array<std::uint32_t, N>, 4> words;
  Draws places{};
  for (std::size_t l = 0; l < lanes; ++l) places[l] = l;
  for (std::size_t first = 0; first < N; first += packs * lanes) {
    Draws c[4][packs];
#pragma GCC unroll 2
    for (std::size_t i = 0; i < packs; ++i) {
      c[0][i] = places + (counter_low + first + i * lanes);
      c[1][i] = c[0][i] >> 32;
      c[2][i] = counter_high - Draws{};
      c[3][i] = c[2][i] >> 32;
    }
    std::uint64_t k0 = key & 0xFFFFFFFF, k1 = key >> 32;
    for (int round = 0; round < 10; ++round) {
#pragma GCC unroll 2
      for (std::size_t i = 0; i < packs; ++i) {
        const Draws p0 = detail::multiply_low(c[0][i], 0xD2511F53u);
        const Draws p1 = detail::multiply_low(c[2][i], 0xCD9E8D57u);
        c[0][i] = (p1 >> 32) ^ c[1][i] ^ k0;
        c[1][i] = p1;
        c[2][i] = (p0 >> 32) ^ c[3][i] ^ k1;
        c[3][i] = p0;
      }
      k0 += 0x9E3779B9u;
      k1 += 0xBB67AE85u;
    }
#pragma GCC unroll 4
    for (std::size_t word = 0; word < 4; ++word) {
#pragma GCC unroll 2
      for (std::size_t i = 0; i < packs; ++i) {
        const auto low = __builtin_convertvector(c[word][i], HalvesOfDraws);
        std::memcpy(&words[word][first + i * lanes], &low, sizeof low);
      }
    }
  }
  return words;
}

}  // namespace selgate::kernel
