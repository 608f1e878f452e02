// SPDX-License-Identifier: MIT
#include <selgate/optim/elementwise.hpp>

#include "catch.hpp"
#include "modules.hpp"

using namespace selgate;
using namespace selgate_test;

TEST_CASE("elementwise: each entry once, with those beside it") {
  const Index size = GENERATE(0, 1, 31, 32, 33, 64, 100);
  Block<double> from(size), to(size);
  for (Index i = 0; i < size; ++i) from.values(i) = static_cast<double>(i + 1);
  const Block<double>& source = from;
  for_each_leaf(elementwise([](const auto& x, auto y) { y += 2 * x; }), source, to);
  CHECK(to.values == 2 * from.values);
}
