// SPDX-License-Identifier: MIT
#include <selgate/mixture/task_body.hpp>

#include <selgate/gate/gate.hpp>
#include <selgate/layer/dense.hpp>
#include <selgate/mixture/dense_bank.hpp>
#include <selgate/mixture/multi_gate.hpp>
#include <selgate/mixture/shared_bottom.hpp>

#include "catch.hpp"

using namespace selgate;

TEST_CASE("task body: who puts representations wherever they shall lie") {
  using Mixture =
      MultiGateMixture<DenseBank<float>, GateBank<StaticMap<float>, SoftmaxHead<float>>>;
  STATIC_REQUIRE((TaskBody<Mixture> && TaskVectorsBody<Mixture>));
  STATIC_REQUIRE(
      (TaskBody<SharedBottom<Dense<float>>> && !TaskVectorsBody<SharedBottom<Dense<float>>>));
  STATIC_REQUIRE(!TaskBody<Dense<float>>);
}
