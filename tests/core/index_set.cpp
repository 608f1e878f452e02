// SPDX-License-Identifier: MIT
#include <selgate/core/index_set.hpp>

#include "catch.hpp"

using namespace selgate;

TEST_CASE("index set: distinct members in the order in which they came") {
  IndexSet set(5);
  CHECK(set.universe() == 5);
  CHECK(set.size() == 0);
  for (Index i : {3, 0, 3, 4, 0}) set.insert(i);
  CHECK(std::vector<Index>(set.begin(), set.end()) == std::vector<Index>{3, 0, 4});
  CHECK(set.size() == 3);
  CHECK(set.contains(0));
  CHECK(!set.contains(1));
}

TEST_CASE("index set: cleared, it takes the same members again") {
  IndexSet set(3);
  for (int round = 0; round < 2; ++round) {
    for (Index i : {2, 1, 0}) set.insert(i);
    CHECK(set.size() == 3);
    set.clear();
    CHECK(set.size() == 0);
    CHECK(!set.contains(2));
  }
  CHECK(IndexSet().universe() == 0);
}

TEST_CASE("index set: no insert moves the list") {
  IndexSet set(100);
  set.insert(0);
  const Index* first = &*set.begin();
  for (Index i = 0; i < 100; ++i) set.insert(i);
  CHECK(&*set.begin() == first);
}
