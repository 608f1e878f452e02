// SPDX-License-Identifier: MIT
#include <selgate/math/kernel/philox.hpp>

#include <selgate/core/random.hpp>

#include "catch.hpp"

using namespace selgate;

TEST_CASE("philox: draws side by side are those of consecutive counters") {
  constexpr std::size_t draws = 32;
  constexpr std::uint64_t low_half = 0xFFFFFFFF, last = ~std::uint64_t{0};
  for (const std::uint64_t key : {std::uint64_t{3}, std::uint64_t{0x299f31d0a4093822}}) {
    for (const std::uint64_t high : {std::uint64_t{5}, std::uint64_t{0x0370734413198a2e}}) {
      // Some carry into the upper half, and the last ones into no other word.
      for (const std::uint64_t low : {std::uint64_t{0}, low_half - 17, last - 17}) {
        const auto together = kernel::philox<draws>(key, high, low);
        for (std::size_t i = 0; i < draws; ++i) {
          const auto alone = philox(key, high, low + i);
          for (std::size_t word = 0; word < 4; ++word) CHECK(together[word][i] == alone[word]);
        }
      }
    }
  }
}
