// SPDX-License-Identifier: MIT
#include <selgate/gate/gate_output.hpp>

#include "catch.hpp"

#include <limits>

using namespace selgate;

namespace {

/// 4 experts; column 0 selects 1 and 3, column 1 selects 0.
GateOutput<float> output(Storage storage) {
  GateOutput<float> weights(storage, 4, 5);
  weights.begin(2);
  if (storage == Storage::dense) {
    weights.dense() << 0, 1, 0.25f, 0, 0, 0, 0.75f, 0;
  } else {
    weights.routing().push(1, 0.25f);
    weights.routing().push(3, 0.75f);
    weights.routing().end_column();
    weights.routing().push(0, 1);
    weights.routing().end_column();
  }
  return weights;
}

}  // namespace

TEST_CASE("gate output: both storages read alike") {
  const Storage storage = GENERATE(Storage::dense, Storage::routing);
  const GateOutput<float> weights = output(storage);
  CHECK(weights.storage() == storage);
  CHECK((weights.num_experts() == 4 && weights.num_columns() == 2));
  const Matrix<float> expected = (Matrix<float>(4, 2) << 0, 1, 0.25f, 0, 0, 0, 0.75f, 0).finished();
  CHECK(weights.to_dense() == expected);
  for (Index c = 0; c < 2; ++c) {
    for (Index e = 0; e < 4; ++e) CHECK(weights.weight(e, c) == expected(e, c));
  }
}

TEST_CASE("gate output: a derivative lives in the support of its weights") {
  const Storage storage = GENERATE(Storage::dense, Storage::routing);
  const GateOutput<float> weights = output(storage);
  GateOutput<float> dweights(storage, 4, 5);
  dweights.zero_like(weights);
  CHECK(dweights.num_columns() == 2);
  dweights.weight_ref(3, 0) += 2;
  dweights.weight_ref(0, 1) += 3;
  CHECK(dweights.to_dense() == (Matrix<float>(4, 2) << 0, 3, 0, 0, 0, 0, 2, 0).finished());
  dweights.zero_like(weights);
  CHECK(dweights.to_dense().isZero(0));
}

TEST_CASE("gate output: begins anew, up to its capacity") {
  const Storage storage = GENERATE(Storage::dense, Storage::routing);
  GateOutput<float> weights = output(storage);
  weights.begin(5);
  CHECK(weights.num_columns() == 5);
  CHECK(weights.routing().num_entries() == 0);
  CHECK_THROWS_AS(weights.begin(6), shape_error);
  CHECK_THROWS_WITH(
      weights.begin(6),
      "gate output: columns: expected at most 5, for which the cache was made, got 6");
  CHECK(weights.num_columns() == 5);
}

TEST_CASE("smallest weight: positive, and not denormal") {
  CHECK(smallest_weight<float>() == (std::numeric_limits<float>::min)());
  CHECK(smallest_weight<double>() == (std::numeric_limits<double>::min)());
  CHECK(smallest_weight<long double>() > 0);
}
