// SPDX-License-Identifier: MIT
#include <selgate/layer/dropout.hpp>

#include <selgate/testing.hpp>

#include "catch.hpp"

#include <cmath>
#include <limits>
#include <vector>

using namespace selgate;
using Catch::Matchers::ContainsSubstring;

static_assert(Layer<Dropout<float>> && Layer<Dropout<double>> && Layer<Dropout<long double>>);

namespace {

/// y for x = 1: the mask.
template <class S>
Matrix<S> mask(const Dropout<S>& layer, const Context& context, Index batch) {
  auto cache = layer.make_cache(batch);
  Matrix<S> y(layer.out_features(), batch);
  layer.forward(context, Matrix<S>::Ones(layer.in_features(), batch), y, cache);
  return y;
}

}  // namespace

TEST_CASE("dropout: laws") {
  const double rate = GENERATE(0.0, 0.3, 0.5);
  const Mode mode = GENERATE(Mode::train, Mode::eval);
  const LawReport report = check_layer(
      [&](auto scalar, Rng& rng) {
        return Dropout<decltype(scalar)>({.features = 21, .rate = rate}, rng);
      },
      {.batch = 5, .mode = mode, .bit_equal_batches = true});
  INFO(report.failures());
  CHECK(report.ok());
}

TEST_CASE("dropout: identity in evaluation and at rate 0") {
  Rng rng(1);
  const auto x = uniform<float>(9, 4, rng), dy = uniform<float>(9, 4, rng);
  auto check_identity = [&](const Dropout<float>& layer, const Context& context) {
    auto cache = layer.make_cache(4);
    Empty gradient;
    Matrix<float> y(9, 4), dx = Matrix<float>::Ones(9, 4);
    layer.forward(context, x, y, cache);
    CHECK(y == x);
    layer.backward(context, x, y, dy, dx, gradient, cache);
    CHECK(dx == (dy.array() + 1).matrix());
    CHECK(layer.flops(4, cache) == Flops{.input_gradient = 36});
  };
  check_identity(Dropout<float>({.features = 9, .rate = 0.5}, rng), {.mode = Mode::eval});
  check_identity(Dropout<float>({.features = 9, .rate = 0}, rng), training(4));
}

TEST_CASE("dropout: the kept share is 1 - rate, scaled to the mean of x") {
  const double rate = GENERATE(0.01, 0.1, 0.5, 0.75, 0.99);
  Rng rng(1);
  const Dropout<double> layer({.features = 1003, .rate = rate}, rng);
  const Matrix<double> y = mask(layer, training(400, 7, 3), 400);
  const double n = static_cast<double>(y.size());
  const double kept = static_cast<double>((y.array() != 0).count());
  const double deviation = std::sqrt(rate * (1 - rate) / n);
  CHECK(std::abs(kept / n - (1 - rate)) < 5 * deviation);
  // All kept entries are 1 / (1 - rate) with the rate as rounded to a multiple of 2^-16.
  const double scale = y.maxCoeff();
  CHECK(((y.array() == 0) || (y.array() == scale)).all());
  CHECK(std::abs(1 - 1 / scale - rate) <= 0x1.0p-17 * 1.0001);
  CHECK(std::abs(y.mean() - 1) < 5 * deviation / (1 - rate));
}

TEST_CASE("dropout: units, examples, steps, seeds and layers are independent") {
  Rng rng(1);
  constexpr Index features = 1000, batch = 40;
  const Dropout<double> layer({.features = features, .rate = 0.5}, rng);
  const Dropout<double> other({.features = features, .rate = 0.5}, rng);
  const Matrix<double> base = mask(layer, training(batch, 1, 1), batch);
  // Two independent masks agree at a unit with probability 1/2.
  auto independent = [](const Matrix<double>& a, const Matrix<double>& b) {
    const double n = static_cast<double>(a.size());
    const double share = static_cast<double>((a.array() == b.array()).count()) / n;
    return std::abs(share - 0.5) < 5 * std::sqrt(0.25 / n);
  };
  CHECK(independent(base, mask(layer, training(batch, 2, 1), batch)));
  CHECK(independent(base, mask(layer, training(batch, 1, 2), batch)));
  CHECK(independent(base, mask(other, training(batch, 1, 1), batch)));
  for (Index lag : {1, 2, 3, 4, 7, 8, 16, 32, 64, 128}) {
    CHECK(independent(base.topRows(features - lag), base.bottomRows(features - lag)));
  }
  CHECK(independent(base.leftCols(batch - 1), base.rightCols(batch - 1)));
}

TEST_CASE("dropout: an example meets one mask wherever it stands") {
  Rng rng(1);
  const Dropout<float> layer({.features = 37, .rate = 0.4}, rng);
  const Matrix<float> batch = mask(layer, training(6, 5, 2), 6);
  const std::vector<Index> selected{4, 1, 5};
  Context context = training(6, 5, 2);
  context.examples = selected;
  const Matrix<float> part = mask(layer, context, 3);
  for (Index c = 0; c < 3; ++c) {
    CHECK(part.col(c) == batch.col(selected[static_cast<std::size_t>(c)]));
  }
  CHECK(mask(layer, training(6, 5, 2), 6) == batch);
}

TEST_CASE("dropout: backward uses the mask of forward") {
  Rng rng(1);
  const Dropout<double> layer({.features = 30, .rate = 0.3}, rng);
  const Context context = training(7, 3, 9);
  const auto x = uniform<double>(30, 7, rng), dy = uniform<double>(30, 7, rng);
  auto cache = layer.make_cache(7);
  Empty gradient;
  Matrix<double> y(30, 7), dx = Matrix<double>::Zero(30, 7);
  layer.forward(context, x, y, cache);
  const Matrix<double> m = mask(layer, context, 7);
  CHECK(y == x.cwiseProduct(m));
  layer.backward(context, x, y, dy, dx, gradient, cache);
  CHECK(dx == dy.cwiseProduct(m));
  CHECK(layer.regularization(context, cache) == 0);
}

TEST_CASE("dropout: errors") {
  Rng rng(1);
  auto make = [&](Index features, double rate) {
    return Dropout<float>({.features = features, .rate = rate}, rng);
  };
  CHECK_THROWS_AS(make(0, 0.5), config_error);
  CHECK_THROWS_WITH(make(0, 0.5), "Dropout: features: expected >= 1, got 0");
  CHECK_THROWS_WITH(make(1, 1), "Dropout: rate: expected in [0, 1), got 1");
  CHECK_THROWS_WITH(make(1, -0.25), "Dropout: rate: expected in [0, 1), got -0.25");
  CHECK_THROWS_AS(make(1, std::numeric_limits<double>::quiet_NaN()), config_error);
  CHECK_NOTHROW(make(1, std::nextafter(1.0, 0.0)));
  const Dropout<float> layer = make(2, 0.5);
  auto cache = layer.make_cache(1);
  Matrix<float> x(2, 1), y(3, 1);
  CHECK_THROWS_AS(layer.forward({}, x, y, cache), shape_error);
  CHECK_THROWS_WITH(layer.forward({}, x, y, cache), ContainsSubstring("Dropout: rows of y"));
}
