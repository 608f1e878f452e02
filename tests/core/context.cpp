// SPDX-License-Identifier: MIT
#include <selgate/core/context.hpp>

#include "catch.hpp"

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

TEST_CASE("context: random words differ in seed, step, module, example and unit") {
  const Context base{.seed = 1, .step = 2};
  const std::set<std::array<std::array<std::uint32_t, 1>, 4>> words{
      base.random<1>(3, 4, 5),
      Context{.seed = 9, .step = 2}.random<1>(3, 4, 5),
      Context{.seed = 1, .step = 9}.random<1>(3, 4, 5),
      base.random<1>(9, 4, 5),
      base.random<1>(3, 9, 5),
      base.random<1>(3, 4, 9),
      // Roles are not interchangeable.
      Context{.seed = 2, .step = 1}.random<1>(3, 4, 5),
      Context{.seed = 1, .step = 3}.random<1>(2, 4, 5),
      base.random<1>(3, 5, 4)};
  CHECK(words.size() == 9);
  CHECK(base.random<1>(3, 4, 5) == base.random<1>(3, 4, 5));
}

TEST_CASE("context: several units at once draw what each draws alone") {
  const Context context{.seed = 1, .step = 2};
  const auto together = context.random<3>(3, 4, 5);
  for (std::size_t unit = 0; unit < 3; ++unit) {
    const auto alone = context.random<1>(3, 4, 5 + static_cast<Index>(unit));
    for (std::size_t word = 0; word < 4; ++word) CHECK(together[word][unit] == alone[word][0]);
  }
}

TEST_CASE("context: an example draws the same wherever its column stands") {
  const Context all{.seed = 1, .step = 2};
  const std::array<Index, 2> examples{7, 4};
  Context selection = all;
  selection.examples = examples;
  CHECK(all.example(1) == 1);
  CHECK(selection.example(1) == 4);
  CHECK(selection.random<1>(3, 0, 6) == all.random<1>(3, 7, 6));
  CHECK(selection.random<1>(3, 1, 6) == all.random<1>(3, 4, 6));
}
