// SPDX-License-Identifier: MIT
#include <selgate/core/context.hpp>

#include "catch.hpp"

#include <array>
#include <set>

using namespace selgate;

TEST_CASE("context: made for a training batch, the objective is the mean over its examples") {
  const Context context = training(8, 3, 5);
  CHECK(context.training());
  CHECK(context.example_weight == 0.125);
  CHECK(context.seed == 3);
  CHECK(context.step == 5);
  CHECK(!Context{}.training());
}

TEST_CASE("context: random keys differ in seed, step and module") {
  const Context base{.seed = 1, .step = 2};
  const std::set<std::uint64_t> keys{
      base.random_key(3), Context{.seed = 9, .step = 2}.random_key(3),
      Context{.seed = 1, .step = 9}.random_key(3), base.random_key(9),
      // Roles are not interchangeable.
      Context{.seed = 2, .step = 1}.random_key(3), Context{.seed = 1, .step = 3}.random_key(2)};
  CHECK(keys.size() == 6);
  CHECK(base.random_key(3) == base.random_key(3));
}

TEST_CASE("context: column c is example c, or the one selected") {
  Context context;
  CHECK(context.example(1) == 1);
  const std::array<Index, 2> examples{7, 4};
  context.examples = examples;
  CHECK(context.example(0) == 7);
  CHECK(context.example(1) == 4);
}
