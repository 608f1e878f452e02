// SPDX-License-Identifier: MIT
#include <selgate/layer/sum.hpp>

#include <selgate/testing.hpp>

#include "catch.hpp"

using namespace selgate;
using Catch::Matchers::ContainsSubstring;

static_assert(Layer<Sum<float>> && Layer<Sum<double>> && Layer<Sum<long double>>);

TEST_CASE("sum: laws") {
  const Index features = GENERATE(1, 2, 17);
  const LawReport report =
      check_layer([&](auto scalar, Rng&) { return Sum<decltype(scalar)>(features); },
                  {.batch = 5, .bit_equal_batches = true});
  INFO(report.failures());
  CHECK(report.ok());
}

TEST_CASE("sum: by hand") {
  const Sum<double> layer(3);
  CHECK(layer.in_features() == 3);
  CHECK(layer.out_features() == 1);
  Matrix<double> x(3, 2), y(1, 2), dx = Matrix<double>::Ones(3, 2);
  x << 1, -4,  //
      2, 5,    //
      4, 0.5;
  Empty none;
  layer.forward({}, x, y, none);
  CHECK(y == (Matrix<double>(1, 2) << 7, 1.5).finished());
  layer.backward({}, x, y, (Matrix<double>(1, 2) << 10, 20).finished(), dx, none, none);
  CHECK(dx == (Matrix<double>(3, 2) << 11, 21, 11, 21, 11, 21).finished());
  CHECK(layer.regularization({}, none) == 0);
}

TEST_CASE("sum: errors") {
  CHECK_THROWS_AS(Sum<float>(0), config_error);
  CHECK_THROWS_WITH(Sum<float>(0), "Sum: in_features: expected >= 1, got 0");
  const Sum<float> layer(2);
  Empty none;
  Matrix<float> x(3, 1), y(1, 1);
  CHECK_THROWS_AS(layer.forward({}, x, y, none), shape_error);
  CHECK_THROWS_WITH(layer.forward({}, x, y, none),
                    ContainsSubstring("Sum: rows of x (in_features): expected 2, got 3"));
}
