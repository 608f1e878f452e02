// SPDX-License-Identifier: MIT
#include <selgate/layer/conv2d.hpp>

#include <selgate/layer/max_pool.hpp>
#include <selgate/layer/sequential.hpp>
#include <selgate/testing.hpp>

#include "catch.hpp"

#include <cmath>
#include <limits>
#include <string>

using namespace selgate;
using Catch::Matchers::ContainsSubstring;

static_assert(Layer<Conv2d<float>> && Layer<Conv2d<double>> && Layer<Conv2d<long double>>);

namespace {

template <class S>
struct Pass {
  Matrix<S> y, dx, dweight;
  Vector<S> dbias;
};

template <class S>
Pass<S> run(const Conv2d<S>& layer, const Matrix<S>& x, const Matrix<S>& dy) {
  auto cache = layer.make_cache(x.cols());
  auto gradient = layer.make_gradient();
  Matrix<S> y(layer.out_features(), x.cols()), dx = Matrix<S>::Zero(x.rows(), x.cols());
  layer.forward({}, x, y, cache);
  layer.backward({}, x, y, dy, dx, gradient, cache);
  return {y, dx, gradient.weight, gradient.bias};
}

/// The formulas of the header as they stand, and with `sizes` the same sums over absolute values.
Pass<long double> by_formula(const Conv2dOptions& o, const Matrix<long double>& weight,
                             const Vector<long double>& bias, const Matrix<long double>& x,
                             const Matrix<long double>& dy, bool sizes) {
  using S = long double;
  auto value = [sizes](S v) { return sizes ? std::abs(v) : v; };
  const Index rows = o.height - o.kernel + 1, columns = o.width - o.kernel + 1;
  Pass<S> p{Matrix<S>::Zero(dy.rows(), dy.cols()), Matrix<S>::Zero(x.rows(), x.cols()),
            Matrix<S>::Zero(weight.rows(), weight.cols()), Vector<S>::Zero(bias.size())};
  for (Index b = 0; b < x.cols(); ++b) {
    for (Index out = 0; out < dy.rows(); ++out) {
      const Index c_out = out / (rows * columns), h = out / columns % rows, w = out % columns;
      const S slope = value(dy(out, b));
      p.y(out, b) = value(bias[c_out]);
      p.dbias[c_out] += slope;
      for (Index tap = 0; tap < weight.rows(); ++tap) {
        const Index c = tap / (o.kernel * o.kernel), i = tap / o.kernel % o.kernel,
                    j = tap % o.kernel, in = (c * o.height + h + i) * o.width + w + j;
        p.y(out, b) += value(weight(tap, c_out)) * value(x(in, b));
        p.dweight(tap, c_out) += slope * value(x(in, b));
        p.dx(in, b) += slope * value(weight(tap, c_out));
      }
    }
  }
  return p;
}

/// Within 16 eps of the size of the sums.
template <class S, class A, class B>
bool close(const A& got, const B& expected, const B& sizes) {
  const long double eps = std::numeric_limits<S>::epsilon();
  return ((got.template cast<long double>() - expected).array().abs() <= 16 * eps * sizes.array())
      .all();
}

}  // namespace

TEST_CASE("conv2d: laws") {
  const Activation activation = GENERATE(Activation::identity, Activation::relu);
  const bool bias = GENERATE(false, true);
  const Index pool = GENERATE(1, 2);  // 2 leaves out a column
  const Index batch = GENERATE(1, 9);
  const LawReport report = check_layer(
      [&](auto scalar, Rng& rng) {
        return Conv2d<decltype(scalar)>({.in_channels = 2,
                                         .height = 5,
                                         .width = 4,
                                         .out_channels = 3,
                                         .kernel = 2,
                                         .bias = bias,
                                         .activation = activation,
                                         .pool = pool},
                                        rng);
      },
      {.batch = batch, .max_coordinates = 60});
  INFO(report.failures());
  CHECK(report.ok());
}

TEMPLATE_TEST_CASE("conv2d: packs equal the formula", "", float, double) {
  using S = TestType;
  // Channels and pixels on both sides of the register blocks (2, 5 and 8), of the lanes and of a
  // chunk (80 pixels); 1 x 1 and full windows.
  const Conv2dOptions options = GENERATE(
      Conv2dOptions{.in_channels = 1, .height = 12, .width = 11, .out_channels = 8, .kernel = 2},
      Conv2dOptions{.in_channels = 2, .height = 6, .width = 7, .out_channels = 5, .kernel = 3},
      Conv2dOptions{.in_channels = 3, .height = 9, .width = 8, .out_channels = 1, .kernel = 5},
      Conv2dOptions{.in_channels = 5, .height = 9, .width = 10, .out_channels = 4, .kernel = 1},
      Conv2dOptions{.in_channels = 2, .height = 4, .width = 4, .out_channels = 3, .kernel = 4});
  const Index batch = GENERATE(1, 4, 7, 8, 9, 17);
  Rng rng(1);
  Conv2d<S> layer(options, rng);
  fill_uniform(layer.bias, -1, 1, rng);
  const auto x = uniform<S>(layer.in_features(), batch, rng);
  const auto dy = uniform<S>(layer.out_features(), batch, rng);
  const Pass<S> got = run<S>(layer, x, dy);
  auto formula = [&](bool sizes) {
    return by_formula(options, layer.weight.template cast<long double>(),
                      layer.bias.template cast<long double>(), x.template cast<long double>(),
                      dy.template cast<long double>(), sizes);
  };
  const Pass<long double> expected = formula(false), sizes = formula(true);
  CHECK(close<S>(got.y, expected.y, sizes.y));
  CHECK(close<S>(got.dx, expected.dx, sizes.dx));
  CHECK(close<S>(got.dweight, expected.dweight, sizes.dweight));
  CHECK(close<S>(got.dbias, expected.dbias, sizes.dbias));
}

TEMPLATE_TEST_CASE("conv2d: pooled as by a max-pooling layer behind it", "", float, double,
                   long double) {
  using S = TestType;
  // With and without rows left out; windows that fill a chunk (20 and 80 pixels) or more.
  Conv2dOptions options = GENERATE(
      Conv2dOptions{.in_channels = 2, .height = 14, .width = 15, .out_channels = 6, .kernel = 3},
      Conv2dOptions{.in_channels = 1, .height = 21, .width = 13, .out_channels = 2, .kernel = 2});
  options.activation = GENERATE(Activation::identity, Activation::relu);
  options.pool = GENERATE(2, 3, 5, 12);
  const Index batch = GENERATE(1, 8, 17);
  Rng rng(1);
  Conv2d<S> layer(options, rng);
  fill_uniform(layer.bias, -1, 1, rng);
  Rng same(1);
  Conv2dOptions alone = options;
  alone.pool = 1;
  Conv2d<S> conv(alone, same);
  conv.bias = layer.bias;
  const MaxPool<S> max_pool({.channels = options.out_channels,
                             .height = conv.out_height(),
                             .width = conv.out_width(),
                             .size = options.pool});
  const Sequential two(std::move(conv), max_pool);
  REQUIRE(layer.out_features() == two.out_features());

  const auto x = uniform<S>(layer.in_features(), batch, rng);
  const auto dy = uniform<S>(layer.out_features(), batch, rng);
  const Pass<S> got = run<S>(layer, x, dy);
  auto cache = two.make_cache(batch);
  auto gradient = two.make_gradient();
  Matrix<S> y(layer.out_features(), batch), dx = Matrix<S>::Zero(x.rows(), batch);
  two.forward({}, x, y, cache);
  two.backward({}, x, y, dy, dx, gradient, cache);
  const auto& [dconv, dpool] = gradient.layers;
  CHECK(got.y == y);
  CHECK(got.dx.isApprox(dx, 64 * std::numeric_limits<S>::epsilon()));
  CHECK(got.dweight.isApprox(dconv.weight, 64 * std::numeric_limits<S>::epsilon()));
  CHECK(got.dbias.isApprox(dconv.bias, 64 * std::numeric_limits<S>::epsilon()));
}

TEMPLATE_TEST_CASE("conv2d: an example has its bits anywhere in any batch", "", float, double,
                   long double) {
  using S = TestType;
  Rng rng(1);
  Conv2d<S> layer({.in_channels = 2,
                   .height = 7,
                   .width = 6,
                   .out_channels = 3,
                   .kernel = 3,
                   .activation = Activation::relu,
                   .pool = GENERATE(1, 2)},
                  rng);
  const auto x = uniform<S>(layer.in_features(), 19, rng);
  const auto dy = uniform<S>(layer.out_features(), 19, rng);
  const Pass<S> batch = run<S>(layer, x, dy);
  const Pass<S> reversed = run<S>(layer, x.rowwise().reverse(), dy.rowwise().reverse());
  CHECK(reversed.y == batch.y.rowwise().reverse());
  CHECK(reversed.dx == batch.dx.rowwise().reverse());
  for (Index b : {Index{0}, Index{8}, Index{18}}) {
    const Pass<S> alone = run<S>(layer, x.col(b), dy.col(b));
    CHECK(alone.y == batch.y.col(b));
    CHECK(alone.dx == batch.dx.col(b));
  }
}

TEMPLATE_TEST_CASE("conv2d: 3 x 3 image by hand", "", float, double, long double) {
  using S = TestType;
  Rng rng(1);
  Conv2d<S> layer(
      {.height = 3, .width = 3, .out_channels = 1, .kernel = 2, .activation = Activation::relu},
      rng);
  layer.weight << 1, 2, -1, 3;  // rows (1 2) and (-1 3) of the window
  layer.bias << -10;
  Matrix<S> x(9, 1), dy(4, 1);
  x << 1, 2, 3,  //
      4, 5, 6,   //
      7, 8, 9;
  dy << 1, 1, 1, 1;
  const Pass<S> got = run<S>(layer, x, dy);
  CHECK(layer.out_height() == 2);
  CHECK(layer.out_width() == 2);
  // 1 + 4 - 4 + 15 - 10, 2 + 6 - 5 + 18 - 10, 4 + 10 - 7 + 24 - 10, 5 + 12 - 8 + 27 - 10
  CHECK(got.y == (Matrix<S>(4, 1) << 6, 11, 21, 26).finished());
  CHECK(got.dbias[0] == 4);
  CHECK(got.dweight == (Matrix<S>(4, 1) << 12, 16, 24, 28).finished());
  CHECK(got.dx == (Matrix<S>(9, 1) << 1, 3, 2, 0, 5, 5, -1, 2, 3).finished());

  layer.bias << -21;  // the first output falls below 0, the second on the kink
  const Pass<S> cut = run<S>(layer, x, dy);
  CHECK(cut.y == (Matrix<S>(4, 1) << 0, 0, 10, 15).finished());
  CHECK(cut.dbias[0] == 2);
  CHECK(cut.dweight == (Matrix<S>(4, 1) << 9, 11, 15, 17).finished());
  CHECK(layer.regularization({}, layer.make_cache(1)) == 0);
}

TEMPLATE_TEST_CASE("conv2d: the first of the largest in a window learns", "", float, double,
                   long double) {
  using S = TestType;
  Rng rng(1);
  Conv2d<S> layer({.height = 2,
                   .width = 8,
                   .out_channels = 1,
                   .kernel = 1,
                   .activation = Activation::relu,
                   .pool = 2},
                  rng);
  layer.weight << 2;
  Matrix<S> x(16, 1), dy(4, 1);
  x << 1, 3, /**/ 4, 4, /**/ -1, 0, /**/ 1, 2,  // a tie in the second window
      2, 3, /**/ 4, 4, /**/ -2, 0, /**/ 3, 0;   // nothing above 0 in the third
  dy << 1, 10, 100, 1000;
  const Pass<S> got = run<S>(layer, x, dy);
  CHECK(layer.out_height() == 1);
  CHECK(layer.out_width() == 4);
  CHECK(got.y == (Matrix<S>(4, 1) << 6, 8, 0, 6).finished());
  CHECK(got.dbias[0] == 1011);
  CHECK(got.dweight(0, 0) == 3 * 1 + 4 * 10 + 3 * 1000);
  Matrix<S> dx = Matrix<S>::Zero(16, 1);
  dx(1) = 2;
  dx(2) = 20;
  dx(14) = 2000;
  CHECK(got.dx == dx);
}

TEMPLATE_TEST_CASE("conv2d: a NaN anywhere in a window gives NaN", "", float, double, long double) {
  using S = TestType;
  const Index at = GENERATE(0, 1, 2, 3);
  const auto activation = GENERATE(Activation::identity, Activation::relu);
  Rng rng(1);
  const Conv2d<S> layer({.height = 2,
                         .width = 2,
                         .out_channels = 1,
                         .kernel = 1,
                         .activation = activation,
                         .pool = 2},
                        rng);
  Matrix<S> x = Matrix<S>::Ones(4, 9), y(1, 9);
  x(at, 4) = std::numeric_limits<S>::quiet_NaN();
  auto cache = layer.make_cache(9);
  layer.forward({}, x, y, cache);
  CHECK(std::isnan(y(0, 4)));
  y(0, 4) = 0;
  CHECK(y.allFinite());
}

TEST_CASE("conv2d: a NaN stays in its example") {
  Rng rng(1);
  const Conv2d<float> layer(
      {.height = 4, .width = 4, .out_channels = 2, .kernel = 2, .activation = Activation::relu},
      rng);
  Matrix<float> x = uniform<float>(16, 9, rng), y(18, 9);
  x(0, 2) = std::numeric_limits<float>::quiet_NaN();
  auto cache = layer.make_cache(9);
  layer.forward({}, x, y, cache);
  CHECK(std::isnan(y(0, 2)));
  CHECK(std::isnan(y(9, 2)));
  y(0, 2) = y(9, 2) = 0;
  CHECK(y.allFinite());
}

TEST_CASE("conv2d: initial values") {
  Rng rng(1);
  const Conv2d<double> layer(
      {.in_channels = 10, .height = 5, .width = 5, .out_channels = 14, .kernel = 5}, rng);
  const double range = std::sqrt(6.0 / (25 * (10 + 14)));
  // The mean square of 3500 draws of U(+-r) is r^2/3 within 5 standard errors of 0.9 r^2/3 / 59.
  CHECK(layer.weight.cwiseAbs().maxCoeff() <= range);
  CHECK(std::abs(layer.weight.squaredNorm() / 3500 / (range * range / 3) - 1) < 0.08);
  CHECK(layer.bias.isZero(0));
}

TEST_CASE("conv2d: names and shapes as in files") {
  auto names = [](bool bias) {
    Rng rng(1);
    const Conv2d<float> layer(
        {.in_channels = 3, .height = 6, .width = 7, .out_channels = 2, .kernel = 5, .bias = bias},
        rng);
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
  CHECK(names(true) == "weight 2 3 5 5\nbias 2\n");
  CHECK(names(false) == "weight 2 3 5 5\n");
}

TEST_CASE("conv2d: rejects options outside their range") {
  auto make = [](const Conv2dOptions& options) {
    Rng rng(1);
    return Conv2d<float>(options, rng);
  };
  Conv2dOptions good{.in_channels = 1, .height = 4, .width = 4, .out_channels = 1, .kernel = 3};
  CHECK_NOTHROW(make(good));
  Conv2dOptions bad = good;
  bad.in_channels = 0;
  CHECK_THROWS_AS(make(bad), config_error);
  CHECK_THROWS_WITH(make(bad), "Conv2d: in_channels: expected >= 1, got 0");
  bad = good;
  bad.out_channels = -1;
  CHECK_THROWS_WITH(make(bad), "Conv2d: out_channels: expected >= 1, got -1");
  bad = good;
  bad.kernel = 0;
  CHECK_THROWS_WITH(make(bad), "Conv2d: kernel: expected >= 1, got 0");
  bad = good;
  bad.pool = 0;
  CHECK_THROWS_WITH(make(bad), "Conv2d: pool: expected 1..2, got 0");
  bad.pool = 3;
  CHECK_THROWS_WITH(make(bad), "Conv2d: pool: expected 1..2, got 3");
  bad = good;
  bad.height = 2;
  CHECK_THROWS_WITH(make(bad), "Conv2d: height: expected >= kernel = 3, got 2");
  bad = good;
  bad.width = 2;
  CHECK_THROWS_WITH(make(bad), "Conv2d: width: expected >= kernel = 3, got 2");
}

TEST_CASE("conv2d: says which size is wrong") {
  Rng rng(1);
  const Conv2d<float> layer({.height = 3, .width = 3, .out_channels = 1, .kernel = 2}, rng);
  auto cache = layer.make_cache(2);
  const Matrix<float> x = Matrix<float>::Zero(8, 2);
  Matrix<float> y(4, 2);
  CHECK_THROWS_AS(layer.forward({}, x, y, cache), shape_error);
  CHECK_THROWS_WITH(layer.forward({}, x, y, cache),
                    ContainsSubstring("Conv2d: rows of x (in_features): expected 9, got 8"));
}

TEST_CASE("conv2d: a cache or gradient of another, and sizes that nobody counts") {
  Rng rng(1);
  const Conv2d<float> layer({.height = 4, .width = 4, .out_channels = 2, .kernel = 3}, rng);
  const Conv2d<float> flat({.height = 2, .width = 8, .out_channels = 2, .kernel = 1}, rng);
  const Conv2d<float> bare({.height = 4, .width = 4, .out_channels = 2, .kernel = 3, .bias = false},
                           rng);
  const auto x = uniform<float>(16, 2, rng);
  Matrix<float> y(8, 2);
  auto cache = layer.make_cache(2), others = flat.make_cache(2);
  CHECK_THROWS_AS(layer.forward({}, x, y, others), state_error);
  layer.forward({}, x, y, cache);
  auto gradient = layer.make_gradient(), flat_gradient = flat.make_gradient(),
       bare_gradient = bare.make_gradient();
  auto backward = [&](auto& into, auto& of) {
    layer.backward({}, x, y, y, not_wanted<float>(), into, of);
  };
  CHECK_THROWS_WITH(backward(gradient, others),
                    "Conv2d: cache: expected one of a layer of this shape, got another's");
  CHECK_THROWS_AS(backward(flat_gradient, cache), shape_error);
  CHECK_THROWS_AS(backward(bare_gradient, cache), shape_error);

  constexpr Index huge = Index{1} << 32;
  auto make = [&](const Conv2dOptions& options) { return Conv2d<float>(options, rng); };
  CHECK_THROWS_WITH(make({.height = huge, .width = huge, .out_channels = 1, .kernel = 1}),
                    "Conv2d: pixels: entries: expected at most 9223372036854775807, got 4294967296 "
                    "x 4294967296");
  CHECK_THROWS_AS(
      make({.in_channels = huge, .height = huge, .width = 1, .out_channels = 1, .kernel = 1}),
      config_error);
  CHECK_THROWS_AS(make({.height = huge, .width = 1, .out_channels = huge, .kernel = 1}),
                  config_error);
  CHECK_THROWS_AS(
      make({.in_channels = huge, .height = 1, .width = 1, .out_channels = huge, .kernel = 1}),
      config_error);
  CHECK_THROWS_AS(layer.make_cache(Index{1} << 61), config_error);
}
