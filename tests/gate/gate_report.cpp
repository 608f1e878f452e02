// SPDX-License-Identifier: MIT
#include <selgate/gate/gate_report.hpp>

#include "catch.hpp"

#include <cmath>

namespace selgate {

TEST_CASE("gate report: shares, support and sums, dense and routing") {
  GateOutput<double> dense(Storage::dense, 3, 2), routing(Storage::routing, 3, 2);
  dense.begin(2);
  dense.dense() << 0.25, 0, 0.75, 0.5, 0, 0;
  routing.begin(2);
  routing.routing().push(0, 0.25);
  routing.routing().push(1, 0.75);
  routing.routing().end_column();
  routing.routing().push(1, 0.5);
  routing.routing().end_column();
  for (const GateOutput<double>* weights : {&dense, &routing}) {
    const GateReport r = report(*weights);
    CHECK(r.columns == 2);
    CHECK(r.mean_support == 1.5);
    CHECK(r.max_support == 2);
    CHECK(r.min_sum == 0.5);
    CHECK(r.max_sum == 1);
    CHECK(r.soft_share == std::vector<double>{0.125, 0.625, 0});
    CHECK(r.hard_share == std::vector<double>{0.5, 1, 0});
    const double entropy =
        -(0.25 * std::log(0.25) + 0.75 * std::log(0.75) + 0.5 * std::log(0.5)) / 2;
    CHECK_THAT(r.mean_entropy, Catch::Matchers::WithinAbs(entropy, 1e-15));
  }
  const GateReport second = report(dense, 1, 2);  // task 1 of two static gates
  CHECK(second.columns == 1);
  CHECK(second.hard_share == std::vector<double>{0, 1, 0});
  CHECK(report(dense, 2).columns == 0);
  CHECK_THROWS_WITH(report(dense, 0, 0), "gate report: stride: expected >= 1, got 0");
  CHECK_THROWS_WITH(report(dense, 0, -1), "gate report: stride: expected >= 1, got -1");
  CHECK_THROWS_WITH(report(dense, -1), "gate report: first: expected >= 0, got -1");
}

TEST_CASE("gate report: text") {
  GateOutput<float> weights(Storage::dense, 2, 1);
  weights.begin(1);
  weights.dense() << 1, 0;
  CHECK(
      describe(report(weights)) ==
      "1 columns: 1.000 experts on average, 1 at most; weights sum to 1.000..1.000; entropy 0.000\n"
      "  expert 0: mean weight 1.000, selected by 100.000 %\n"
      "  expert 1: mean weight 0.000, selected by 0.000 %\n");
}

}  // namespace selgate
