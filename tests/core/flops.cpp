// SPDX-License-Identifier: MIT
#include <selgate/core/flops.hpp>

#include "catch.hpp"

using namespace selgate;

TEST_CASE("flops: added part by part") {
  const Flops a{.forward = 1, .backward = 20, .input_gradient = 300};
  const Flops b{.forward = 4, .backward = 50, .input_gradient = 600};
  CHECK(a + b == Flops{.forward = 5, .backward = 70, .input_gradient = 900});
  CHECK((a + b).total() == 975);
  Flops sum;
  sum += a;
  CHECK(sum == a);
  CHECK(sum != b);
}
