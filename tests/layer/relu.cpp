// SPDX-License-Identifier: MIT
#include <selgate/layer/relu.hpp>

#include <selgate/testing.hpp>

#include "catch.hpp"

#include <cmath>
#include <limits>

using namespace selgate;
using Catch::Matchers::ContainsSubstring;

static_assert(Layer<Relu<float>> && Layer<Relu<double>> && Layer<Relu<long double>>);

TEST_CASE("relu: laws") {
  const LawReport report = check_layer([](auto scalar, Rng&) { return Relu<decltype(scalar)>(19); },
                                       {.batch = 4, .bit_equal_batches = true});
  INFO(report.failures());
  CHECK(report.ok());
}

TEMPLATE_TEST_CASE("relu: by hand", "", float, double, long double) {
  using S = TestType;
  const Relu<S> layer(3);
  Matrix<S> x(3, 2), y(3, 2), dy(3, 2), dx = Matrix<S>::Ones(3, 2);
  x << -2, std::numeric_limits<S>::denorm_min(),    //
      S(-0.0), std::numeric_limits<S>::infinity(),  //
      3, std::numeric_limits<S>::quiet_NaN();
  dy << 1, 2, 3, 4, 5, 6;
  Empty none;
  layer.forward({}, x, y, none);
  CHECK(y.col(0) == (Matrix<S>(3, 1) << 0, 0, 3).finished());
  CHECK(!std::signbit(y(1, 0)));
  CHECK(y.col(1).head(2) == x.col(1).head(2));
  CHECK(std::isnan(y(2, 1)));
  layer.backward({}, x, y, dy, dx, none, none);
  CHECK(dx == (Matrix<S>(3, 2) << 1, 3, 1, 5, 6, 7).finished());
  CHECK(layer.regularization({}, none) == 0);
}

TEST_CASE("relu: errors") {
  CHECK_THROWS_AS(Relu<float>(0), config_error);
  CHECK_THROWS_WITH(Relu<float>(0), "Relu: features: expected >= 1, got 0");
  const Relu<float> layer(2);
  Empty none;
  Matrix<float> x(2, 3), y(2, 2);
  CHECK_THROWS_AS(layer.forward({}, x, y, none), shape_error);
  CHECK_THROWS_WITH(layer.forward({}, x, y, none), ContainsSubstring("Relu: columns of y"));
}
