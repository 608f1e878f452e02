// SPDX-License-Identifier: MIT
#include <selgate/gate/code_book.hpp>

#include "catch.hpp"
#include "spare_code_policies.hpp"

#include <utility>
#include <vector>

using namespace selgate;
using selgate::test::policies;

TEST_CASE("code book: experts have their own codes, and spare codes no expert beyond n") {
  const Index n = GENERATE(range(1, 34));
  for (const SpareCodes policy : policies) {
    const CodeBook book(n, policy, 5);
    CHECK((book.num_codes() >= n && book.num_codes() < 2 * n));
    const bool spare = book.num_codes() > n;
    CHECK(book.has_spare() == spare);
    CHECK(book.loses_mass() == (spare && policy == SpareCodes::penalty));
    CHECK(book.renormalises() == (spare && policy == SpareCodes::renormalise));
    for (Index code = 0; code < book.num_codes(); ++code) {
      const Index e = book.expert_of(code);
      if (code < n) {
        CHECK(e == code);
      } else if (policy == SpareCodes::fold) {
        CHECK((e == (code ^ (book.num_codes() / 2)) && e < n));  // without its highest digit
      } else if (policy == SpareCodes::random) {
        CHECK((e >= 0 && e < n));
      } else {
        CHECK(e == -1);
      }
    }
  }
}

TEST_CASE("code book: the random map is a function of the seed") {
  const CodeBook book(33, SpareCodes::random, 7), same(33, SpareCodes::random, 7),
      other(33, SpareCodes::random, 8);
  int differing = 0;
  std::vector<bool> used(33);
  for (Index code = 33; code < 64; ++code) {
    CHECK(book.expert_of(code) == same.expert_of(code));
    differing += book.expert_of(code) != other.expert_of(code);
    used[static_cast<std::size_t>(book.expert_of(code))] = true;
  }
  CHECK(differing > 20);
  CHECK(std::count(used.begin(), used.end(), true) > 12);  // not all on a few experts
}

TEST_CASE("code book: walks the codes of any cube that have an expert") {
  const Index n = GENERATE(1, 2, 3, 5, 7, 8);
  const int m = num_bits(n);
  for (const SpareCodes policy : policies) {
    const CodeBook book(n, policy, 5);
    for (Index free = 0; free < book.num_codes(); ++free) {
      for (Index base = 0; base < book.num_codes(); ++base) {
        if ((base & free) != 0) continue;
        const Subcube cube{base, free};
        std::vector<std::pair<Index, Index>> expected, walked;
        for (Index i = 0; i < cube.size(); ++i) {
          const Index e = book.expert_of(cube.code(i));
          if (e >= 0) expected.emplace_back(i, e);
        }
        book.for_each_expert(cube, [&](Index i, Index e) { walked.emplace_back(i, e); });
        REQUIRE(walked == expected);
        REQUIRE(book.num_used(cube) == static_cast<Index>(expected.size()));
      }
    }
  }
  CHECK(CodeBook(n, SpareCodes::fold, 0).num_bits() == m);
}
