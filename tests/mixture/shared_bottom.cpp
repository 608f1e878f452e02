// SPDX-License-Identifier: MIT
#include <selgate/mixture/shared_bottom.hpp>

#include <selgate/layer/dense.hpp>
#include <selgate/mixture/multi_task.hpp>

#include "catch.hpp"

using namespace selgate;

static_assert(TaskBody<SharedBottom<Dense<float>>>);

TEST_CASE("shared bottom: is its layer, and every task reads all of it") {
  Rng rng(1);
  const Dense<double> layer({.in_features = 3, .out_features = 2}, rng);
  const SharedBottom<Dense<double>> bottom(layer, 4);
  CHECK((bottom.num_tasks() == 4 && bottom.task_features() == 2));
  for (Index t = 0; t < 4; ++t) CHECK(bottom.task_row(t) == 0);
  CHECK(pack<double>(bottom) == pack<double>(layer));
  CHECK_THROWS_AS(SharedBottom<Dense<double>>(layer, 0), config_error);
  CHECK_THROWS_WITH(SharedBottom<Dense<double>>(layer, 0),
                    "shared bottom: num_tasks: expected >= 1, got 0");
}
