// SPDX-License-Identifier: MIT
#include <selgate/metric/metric.hpp>

#include "catch.hpp"
#include "row.hpp"

#include <selgate/core/random.hpp>
#include <selgate/metric/accuracy.hpp>
#include <selgate/metric/auc.hpp>
#include <selgate/metric/rmse.hpp>
#include <selgate/testing/dual.hpp>

#include <cmath>

using namespace selgate;
using namespace selgate_test;
using Catch::Matchers::WithinRel;

static_assert(Metric<Accuracy<float>>);
static_assert(Metric<Rmse<double>>);
static_assert(Metric<Auc<long double>>);
static_assert(Metric<Accuracy<Dual<double>>> && Metric<Auc<Dual<double>>>);

TEMPLATE_TEST_CASE("metric: mini-batches give what one batch gives", "", Accuracy<float>,
                   Auc<float>, Rmse<float>, Accuracy<double>, Auc<double>, Rmse<double>) {
  using S = typename TestType::Scalar;
  Rng rng(5);
  const Index n = 100;
  Matrix<S> prediction(1, n);
  RowVector<S> target(n), mask(n);
  for (Index b = 0; b < n; ++b) {
    target(b) = static_cast<S>(rng.below(2));
    mask(b) = static_cast<S>(rng.below(3));
    prediction(b) = std::round(S(2) * (target(b) + static_cast<S>(rng.normal())));  // with ties
    if (mask(b) == S(0)) prediction(b) = target(b) = not_a_number<S>;
  }
  TestType whole, parts;
  CHECK_FALSE(whole.value().has_value());
  whole.add(prediction, target, mask);
  for (Index at = 0, size = 1; at < n; at += size, size = std::min(size + 3, n - at)) {
    parts.add(prediction.middleCols(at, size), target.segment(at, size), mask.segment(at, size));
  }
  REQUIRE(whole.value().has_value());
  CHECK(*whole.value() > 0);
  CHECK_THAT(*parts.value(), WithinRel(*whole.value(), 1e-14));
}

TEMPLATE_TEST_CASE("metric: a bad column is refused and nothing is counted", "", Accuracy<double>,
                   Auc<double>, Rmse<double>) {
  TestType metric;
  const RowVector<double> good = row<double>({1, 0, 1}), all = all_labelled<double>();
  metric.add(row<double>({1, 1, 0}), good, all);
  const double before = metric.value().value_or(-1);
  const RowVector<double> bad = row<double>({0, not_a_number<double>, 0});
  CHECK_THROWS_AS(metric.add(bad, good, all), numeric_error);
  CHECK_THROWS_WITH(metric.add(bad, good, all),
                    "prediction: column 1, row 0: expected a number, got nan");
  CHECK_THROWS_AS(metric.add(good, bad, all), numeric_error);
  CHECK_THROWS_AS(metric.add(good, row<double>({0, 1}), all), shape_error);
  CHECK_THROWS_AS(metric.add(good, good, row<double>({0, 1})), shape_error);
  CHECK(metric.value().value_or(-1) == before);
}
