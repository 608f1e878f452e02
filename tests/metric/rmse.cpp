// SPDX-License-Identifier: MIT
#include <selgate/metric/rmse.hpp>

#include "catch.hpp"
#include "row.hpp"

using namespace selgate;
using namespace selgate_test;

TEMPLATE_TEST_CASE("rmse: by hand", "", float, double, long double) {
  using S = TestType;
  Rmse<S> rmse;
  CHECK(rmse.value() == std::nullopt);
  rmse.add(row<S>({1, 2, 9}), row<S>({4, -2, 0}), row<S>({1, 1, 0}));
  CHECK(rmse.value() == std::sqrt(12.5));
  rmse.add(row<S>({-5, 5}), row<S>({0, 0}), all_labelled<S>());
  CHECK(rmse.value() == std::sqrt(18.75));
}

TEST_CASE("rmse: squares of float are summed in double") {
  Rmse<float> rmse;
  const RowVector<float> prediction = row<float>({1e20, 0}), target = row<float>({0, 0});
  rmse.add(prediction, target, all_labelled<float>());  // 1e40 is no float
  CHECK_THAT(*rmse.value(), Catch::Matchers::WithinRel(1e20 / std::sqrt(2.0), 1e-7));
}

TEST_CASE("rmse: one prediction per example") {
  Rmse<double> rmse;
  CHECK_THROWS_AS(rmse.add(Matrix<double>(2, 1), row<double>({0}), all_labelled<double>()),
                  shape_error);
}
