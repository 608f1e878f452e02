// SPDX-License-Identifier: MIT
#include <selgate/loss/reduction.hpp>

#include "catch.hpp"
#include "support.hpp"

#include <vector>

using namespace selgate;
using namespace selgate_test;

TEST_CASE("reduction: what the sum is divided by") {
  const RowVector<float> mask{{1.0f, 0.0f, 1.0f, 0.0f}};
  std::vector<Index> seen;
  std::vector<float> scales;
  auto column = [&](Index b, float scale) {
    seen.push_back(b);
    scales.push_back(scale);
    return static_cast<double>(b + 1);
  };
  CHECK(mean_loss<float>(Reduction::over_rows, 2, mask, 4, 8.0, column) == 1.0);
  CHECK(mean_loss<float>(Reduction::over_labelled, 2, mask, 4, 8.0, column) == 2.0);
  CHECK(seen == std::vector<Index>{0, 2, 0, 2});
  CHECK(scales == std::vector<float>{2, 2, 4, 4});
}

TEST_CASE("reduction: no labels, no loss") {
  auto never = [](Index, double) -> double { throw state_error("called"); };
  const RowVector<double> mask = RowVector<double>::Zero(3);
  for (const Reduction reduction : {Reduction::over_rows, Reduction::over_labelled}) {
    CHECK(mean_loss<double>(reduction, 0, mask, 3, 1.0, never) == 0);
    CHECK(mean_loss<double>(reduction, 0, all_labelled<double>(), 0, 1.0, never) == 0);
  }
}

TEST_CASE("reduction: float losses are summed in double") {
  const Index n = 100000;
  auto tenth = [](Index, float) { return 0.1; };
  const double mean =
      mean_loss<float>(Reduction::over_rows, n, all_labelled<float>(), n, 1.0, tenth);
  CHECK_THAT(mean, Catch::Matchers::WithinRel(0.1, 1e-11));
}

TEST_CASE("reduction: the gradient's shape is the prediction's") {
  const Matrix<double> prediction(2, 3);
  Matrix<double> right(2, 3), rows(3, 3), columns(2, 4);
  CHECK_NOTHROW(require_gradient_shape<double>(prediction, right));
  CHECK_NOTHROW(require_gradient_shape<double>(prediction, not_wanted<double>()));
  CHECK_THROWS_AS(require_gradient_shape<double>(prediction, rows), shape_error);
  CHECK_THROWS_WITH(require_gradient_shape<double>(prediction, rows),
                    "dprediction: rows of prediction: expected 2, got 3");
  CHECK_THROWS_AS(require_gradient_shape<double>(prediction, columns), shape_error);
  CHECK_THROWS_WITH(require_gradient_shape<double>(prediction, columns),
                    "dprediction: columns of prediction: expected 3, got 4");
}
