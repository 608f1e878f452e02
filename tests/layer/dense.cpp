// SPDX-License-Identifier: MIT
#include <selgate/layer/dense.hpp>

#include <selgate/testing/layer_laws.hpp>

#include "catch.hpp"

#include <cmath>
#include <limits>
#include <string>
#include <vector>

using namespace selgate;
using Catch::Matchers::ContainsSubstring;

static_assert(Layer<Dense<float>> && Layer<Dense<double>> && Layer<Dense<long double>>);

TEST_CASE("dense: laws") {
  // Up to kernel::max_skinny outputs one product kernel, above it the other.
  const Index outputs = GENERATE(1, 3, 17, 70);
  const bool bias = GENERATE(false, true);
  const Activation activation = GENERATE(Activation::identity, Activation::relu);
  const LawReport report = check_layer(
      [&](auto scalar, Rng& rng) {
        return Dense<decltype(scalar)>(
            {.in_features = 11, .out_features = outputs, .bias = bias, .activation = activation},
            rng);
      },
      {.batch = 6, .bit_equal_batches = outputs <= kernel::max_skinny});
  INFO(report.failures());
  CHECK(report.ok());
}

TEMPLATE_TEST_CASE("dense: both kernels equal Eigen's product", "", float, double) {
  const Index in = GENERATE(1, 7, 8, 9, 33), out = GENERATE(1, 2, 3, 16, 64, 65),
              batch = GENERATE(1, 4, 7);
  Rng rng(1);
  Dense<TestType> layer({.in_features = in, .out_features = out}, rng);
  fill_uniform(layer.weight, -1, 1, rng);
  fill_uniform(layer.bias, -1, 1, rng);
  const auto x = uniform<TestType>(in, batch, rng), dy = uniform<TestType>(out, batch, rng);
  auto cache = layer.make_cache(batch);
  auto gradient = layer.make_gradient();
  Matrix<TestType> y(out, batch), dx = Matrix<TestType>::Zero(in, batch);
  layer.forward({}, x, y, cache);
  layer.backward({}, x, y, dy, dx, gradient, cache);

  // A sum of p terms of at most 1 each is within p eps of the sum of their sizes, p at most.
  auto distance = [](const Matrix<TestType>& a, const Matrix<TestType>& b) {
    return (a - b).cwiseAbs().maxCoeff();
  };
  const auto tolerance = [](Index terms) {
    return 4 * static_cast<TestType>(terms) * std::numeric_limits<TestType>::epsilon();
  };
  const Matrix<TestType> expected =
      (layer.weight.transpose().lazyProduct(x)).colwise() + layer.bias;
  CHECK(distance(y, expected) <= tolerance(in + 1));
  CHECK(distance(dx, layer.weight.lazyProduct(dy)) <= tolerance(out));
  CHECK(distance(gradient.weight, x.lazyProduct(dy.transpose())) <= tolerance(batch));
}

TEST_CASE("dense: one output by hand") {
  Rng rng(1);
  Dense<double> layer({.in_features = 2, .out_features = 1, .activation = Activation::relu}, rng);
  layer.weight << 2, -3;
  layer.bias << 0.5;
  Matrix<double> x(2, 3), y(1, 3), dy(1, 3), dx = Matrix<double>::Zero(2, 3);
  x << 1, 1, 0.5,  //
      0.25, 2, 0.5;
  dy << 1, 10, 100;
  auto cache = layer.make_cache(3);
  auto gradient = layer.make_gradient();
  layer.forward({}, x, y, cache);
  CHECK(y == (Matrix<double>(1, 3) << 1.75, 0, 0).finished());  // the last one is at the kink
  CHECK(!std::signbit(y(0, 1)));
  layer.backward({}, x, y, dy, dx, gradient, cache);
  CHECK(gradient.weight == (Matrix<double>(2, 1) << 1, 0.25).finished());
  CHECK(gradient.bias[0] == 1);
  CHECK(dx == (Matrix<double>(2, 3) << 2, 0, 0, -3, 0, 0).finished());
  CHECK(layer.regularization({}, cache) == 0);
}

TEST_CASE("dense: a NaN stays in its example") {
  Rng rng(1);
  const Dense<float> layer({.in_features = 4, .out_features = 5, .activation = Activation::relu},
                           rng);
  Matrix<float> x = uniform<float>(4, 3, rng), y(5, 3);
  x(2, 1) = std::numeric_limits<float>::quiet_NaN();
  auto cache = layer.make_cache(3);
  layer.forward({}, x, y, cache);
  CHECK(y.col(0).allFinite());
  CHECK(y.col(1).array().isNaN().all());
  CHECK(y.col(2).allFinite());
}

TEST_CASE("dense: initial values") {
  Rng rng(1);
  const Dense<double> layer({.in_features = 40, .out_features = 60}, rng);
  const double range = std::sqrt(6.0 / 100.0);
  // The mean square of 2400 draws of U(+-r) is r^2/3 within 5 standard errors of 0.9 r^2/3 / 49.
  CHECK(layer.weight.cwiseAbs().maxCoeff() <= range);
  CHECK(std::abs(layer.weight.squaredNorm() / 2400 / (range * range / 3) - 1) < 0.1);
  CHECK(layer.bias.isZero(0));
  Rng again(1);
  CHECK(Dense<double>({.in_features = 40, .out_features = 60}, again).weight == layer.weight);
}

TEST_CASE("dense: names and shapes as in files") {
  auto names = [](const DenseOptions& options) {
    Rng rng(1);
    const Dense<float> layer(options, rng);
    std::string text;
    for_each_named_leaf(
        [&](const std::string& path, const auto& leaf) {
          text += path;
          for (int i = 0; i < leaf.shape.rank; ++i) text.append(" ").append(to_text(leaf.shape[i]));
          text += "\n";
        },
        layer);
    return text;
  };
  CHECK(names({.in_features = 3, .out_features = 2}) == "weight 2 3\nbias 2\n");
  CHECK(names({.in_features = 3, .out_features = 2, .bias = false}) == "weight 2 3\n");
}

TEST_CASE("dense: rejects sizes below 1") {
  Rng rng(1);
  CHECK_THROWS_AS(Dense<float>({.in_features = 0, .out_features = 2}, rng), config_error);
  CHECK_THROWS_WITH(Dense<float>({.in_features = 0, .out_features = 2}, rng),
                    "Dense: in_features: expected >= 1, got 0");
  CHECK_THROWS_WITH(Dense<float>({.in_features = 2, .out_features = -1}, rng),
                    "Dense: out_features: expected >= 1, got -1");
}

TEST_CASE("dense: says which size is wrong") {
  Rng rng(1);
  const Dense<float> layer({.in_features = 3, .out_features = 2}, rng);
  auto cache = layer.make_cache(4);
  const Matrix<float> x = Matrix<float>::Zero(2, 4);
  Matrix<float> y(2, 4);
  CHECK_THROWS_AS(layer.forward({}, x, y, cache), shape_error);
  CHECK_THROWS_WITH(layer.forward({}, x, y, cache),
                    ContainsSubstring("rows of x (in_features): expected 3, got 2"));
}

TEST_CASE("dense: a cache or gradient of another") {
  Rng rng(1);
  const Activation activation = GENERATE(Activation::identity, Activation::relu);
  const Dense<float> layer({.in_features = 3, .out_features = 5, .activation = activation}, rng);
  const Dense<float> wide({.in_features = 3, .out_features = 6}, rng);
  const Dense<float> bare({.in_features = 3, .out_features = 5, .bias = false}, rng);
  const auto x = uniform<float>(3, 2, rng), dy = uniform<float>(5, 2, rng);
  Matrix<float> y = dy;
  auto backward = [&](auto gradient, auto cache) {
    layer.backward({}, x, y, dy, not_wanted<float>(), gradient, cache);
  };
  auto others = wide.make_cache(2);
  CHECK_THROWS_AS(layer.forward({}, x, y, others), state_error);
  CHECK_THROWS_WITH(backward(layer.make_gradient(), others),
                    "Dense: out_features of the cache: expected 5, got 6");
  CHECK_THROWS_AS(backward(layer.make_gradient(), layer.make_cache(1)), shape_error);
  CHECK_THROWS_WITH(backward(wide.make_gradient(), layer.make_cache(2)),
                    "Dense: weight: columns of the gradient: expected 5, got 6");
  CHECK_THROWS_WITH(backward(bare.make_gradient(), layer.make_cache(2)),
                    "Dense: bias: rows of the gradient: expected 5, got 0");
  CHECK_THROWS_AS(layer.make_cache(Index{1} << 61), config_error);
}
