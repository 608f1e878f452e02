// SPDX-License-Identifier: MIT
#include <selgate/layer/max_pool.hpp>

#include <selgate/testing.hpp>

#include "catch.hpp"

#include <cmath>
#include <limits>

using namespace selgate;
using Catch::Matchers::ContainsSubstring;

static_assert(Layer<MaxPool<float>> && Layer<MaxPool<double>> && Layer<MaxPool<long double>>);

TEST_CASE("max_pool: laws") {
  const MaxPoolOptions options = GENERATE(MaxPoolOptions{.channels = 2, .height = 4, .width = 6},
                                          MaxPoolOptions{.channels = 1, .height = 5, .width = 7},
                                          MaxPoolOptions{.height = 7, .width = 6, .size = 3},
                                          MaxPoolOptions{.height = 2, .width = 3, .size = 1});
  const Index batch = GENERATE(1, 9);
  const LawReport report =
      check_layer([&](auto scalar, Rng&) { return MaxPool<decltype(scalar)>(options); },
                  {.batch = batch, .bit_equal_batches = true, .max_coordinates = 200});
  INFO(report.failures());
  CHECK(report.ok());
}

TEMPLATE_TEST_CASE("max_pool: 5 x 5 image by hand", "", float, double, long double) {
  using S = TestType;
  const MaxPool<S> layer({.height = 5, .width = 5});
  CHECK(layer.out_height() == 2);
  CHECK(layer.out_width() == 2);
  Matrix<S> x(25, 1), y(4, 1), dy(4, 1), dx = Matrix<S>::Ones(25, 1), expected(25, 1);
  x << 1, 2, 7, 7, 9,    // the last row and column fill no window
      4, 3, 7, 7, 9,     // a tie: the first one in row-major order
      -2, -1, -1, 0, 9,  //
      -3, -4, 0, -1, 9,  // a tie across rows
      9, 9, 9, 9, 9;
  dy << 10, 20, 30, 40;
  auto cache = layer.make_cache(1);
  Empty gradient;
  layer.forward({}, x, y, cache);
  CHECK(y == (Matrix<S>(4, 1) << 4, 7, -1, 0).finished());
  layer.backward({}, x, y, dy, dx, gradient, cache);
  expected << 1, 1, 21, 1, 1,  //
      11, 1, 1, 1, 1,          //
      1, 31, 1, 41, 1,         //
      1, 1, 1, 1, 1,           //
      1, 1, 1, 1, 1;
  CHECK(dx == expected);
  CHECK(layer.regularization({}, cache) == 0);
}

TEMPLATE_TEST_CASE("max_pool: channels and examples do not mix", "", float, double) {
  using S = TestType;
  const Index batch = GENERATE(1, 8, 19);
  const MaxPool<S> layer({.channels = 3, .height = 6, .width = 9, .size = 3});
  Rng rng(1);
  const auto x = uniform<S>(layer.in_features(), batch, rng);
  Matrix<S> y(layer.out_features(), batch);
  auto cache = layer.make_cache(batch);
  layer.forward({}, x, y, cache);
  for (Index b = 0; b < batch; ++b) {
    for (Index out = 0; out < y.rows(); ++out) {
      const Index c = out / 6, h = out / 3 % 2, w = out % 3;
      S largest = -std::numeric_limits<S>::infinity();
      for (Index i = 0; i < 9; ++i) {
        largest = std::max(largest, x((c * 6 + 3 * h + i / 3) * 9 + 3 * w + i % 3, b));
      }
      CHECK(y(out, b) == largest);
    }
  }
}

TEMPLATE_TEST_CASE("max_pool: a NaN anywhere in a window gives NaN", "", float, double,
                   long double) {
  using S = TestType;
  const Index at = GENERATE(0, 1, 2, 3);
  const MaxPool<S> layer({.channels = 2, .height = 2, .width = 2});
  Matrix<S> x = Matrix<S>::Ones(8, 9), y(2, 9), dx = Matrix<S>::Zero(8, 9);
  x(at, 4) = std::numeric_limits<S>::quiet_NaN();
  auto cache = layer.make_cache(9);
  Empty gradient;
  layer.forward({}, x, y, cache);
  CHECK(std::isnan(y(0, 4)));
  CHECK((y.array() == 1).count() == 17);
  layer.backward({}, x, y, Matrix<S>::Ones(2, 9), dx, gradient, cache);
  CHECK(dx(0, 4) == 1);  // nothing is below NaN
  CHECK(dx.sum() == 18);
}

TEST_CASE("max_pool: infinities are numbers") {
  const MaxPool<float> layer({.height = 2, .width = 2});
  const float inf = std::numeric_limits<float>::infinity();
  Matrix<float> x(4, 2), y(1, 2);
  x << -inf, 1,   //
      -inf, inf,  //
      -inf, 2,    //
      -inf, -inf;
  auto cache = layer.make_cache(2);
  layer.forward({}, x, y, cache);
  CHECK(y(0, 0) == -inf);
  CHECK(y(0, 1) == inf);
}

TEST_CASE("max_pool: rejects options outside their range") {
  CHECK_THROWS_AS(MaxPool<float>({.height = 1, .width = 2}), config_error);
  CHECK_THROWS_WITH(MaxPool<float>({.height = 1, .width = 2}),
                    "MaxPool: height: expected >= size = 2, got 1");
  CHECK_THROWS_WITH(MaxPool<float>({.height = 2, .width = 0}),
                    "MaxPool: width: expected >= size = 2, got 0");
  CHECK_THROWS_WITH(MaxPool<float>({.height = 2, .width = 2, .size = 0}),
                    "MaxPool: size: expected >= 1, got 0");
  CHECK_THROWS_WITH(MaxPool<float>({.channels = 0, .height = 2, .width = 2}),
                    "MaxPool: channels: expected >= 1, got 0");
}

TEST_CASE("max_pool: says which size is wrong") {
  const MaxPool<float> layer({.height = 2, .width = 2});
  auto cache = layer.make_cache(1);
  Matrix<float> x(4, 1), y(2, 1);
  CHECK_THROWS_AS(layer.forward({}, x, y, cache), shape_error);
  CHECK_THROWS_WITH(layer.forward({}, x, y, cache),
                    ContainsSubstring("MaxPool: rows of y (out_features): expected 1, got 2"));
}

TEST_CASE("max_pool: a cache of another, and sizes that nobody counts") {
  const MaxPool<float> layer({.height = 4, .width = 4}), small({.height = 2, .width = 2});
  const Matrix<float> x = Matrix<float>::Ones(16, 1), dy = Matrix<float>::Ones(4, 1);
  Matrix<float> y = dy, dx = x;
  Empty gradient;
  auto cache = small.make_cache(1);
  CHECK_THROWS_AS(layer.forward({}, x, y, cache), state_error);
  CHECK_THROWS_WITH(layer.backward({}, x, y, dy, dx, gradient, cache),
                    "MaxPool: pixels of the cache: expected 16, got 4");
  constexpr Index huge = Index{1} << 32;
  CHECK_THROWS_AS(MaxPool<float>({.height = huge, .width = huge}), config_error);
  CHECK_THROWS_AS(MaxPool<float>({.channels = huge, .height = huge, .width = 2}), config_error);
}
