// SPDX-License-Identifier: MIT
#include <selgate/layer/sequential.hpp>

#include <selgate/layer/dense.hpp>
#include <selgate/layer/dropout.hpp>
#include <selgate/layer/max_pool.hpp>
#include <selgate/layer/relu.hpp>
#include <selgate/testing.hpp>

#include "catch.hpp"

#include <string>

using namespace selgate;
using Catch::Matchers::ContainsSubstring;

static_assert(Layer<Sequential<Dense<float>, Relu<float>, Dense<float>>>);
static_assert(Layer<Sequential<Sequential<Dense<double>>, Relu<double>>>);

namespace {

/// y = x, with a regularization of half the sum of squares of what it last saw.
template <class S>
class HalfSquares {
 public:
  using Scalar = S;
  using Gradient = Empty;
  struct Cache {
    S sum{};
  };
  explicit HalfSquares(Index features) : features_(features) {}
  [[nodiscard]] Index in_features() const { return features_; }
  [[nodiscard]] Index out_features() const { return features_; }
  Cache make_cache(Index) const { return {}; }
  Gradient make_gradient() const { return {}; }
  void forward(const Context&, const In<S>& x, Out<S> y, Cache& cache) const {
    require_forward_shapes(*this, "HalfSquares", x, y);
    y = x;
    cache.sum = S(0);
    for (Index b = 0; b < x.cols(); ++b) {
      for (Index i = 0; i < x.rows(); ++i) cache.sum += x(i, b) * x(i, b);
    }
  }
  void backward(const Context&, const In<S>& x, const In<S>& y, const In<S>& dy, Out<S> dx,
                Gradient&, Cache&) const {
    require_backward_shapes(*this, "HalfSquares", x, y, dy, dx);
    if (wanted(dx)) dx += dy + x;
  }
  accumulate_t<S> regularization(const Context&, const Cache& cache) const {
    return accumulate_t<S>(cache.sum) / 2;
  }
  [[nodiscard]] Flops flops(Index columns, const Cache&) const {
    return {.forward = 2 * features_ * columns, .input_gradient = 2 * features_ * columns};
  }
  template <class F, class... M>
  static void visit(F&&, M&...) {}

 private:
  Index features_;
};

}  // namespace

TEST_CASE("sequential: laws of one layer") {
  const LawReport report = check_layer(
      [](auto scalar, Rng& rng) {
        using S = decltype(scalar);
        return Sequential<Dense<S>>(Dense<S>({.in_features = 3, .out_features = 2}, rng));
      },
      {.bit_equal_batches = true});
  INFO(report.failures());
  CHECK(report.ok());
}

TEST_CASE("sequential: laws of five layers, one nested, one with a regularization") {
  const LawReport report = check_layer([](auto scalar, Rng& rng) {
    using S = decltype(scalar);
    Dense<S> first({.in_features = 6, .out_features = 16, .activation = Activation::relu}, rng);
    MaxPool<S> pool({.height = 4, .width = 4});
    Dropout<S> dropout({.features = 4, .rate = 0.5}, rng);
    Sequential inner(Dense<S>({.in_features = 4, .out_features = 3}, rng), HalfSquares<S>(3));
    return Sequential(std::move(first), pool, dropout, std::move(inner), Relu<S>(3));
  });
  INFO(report.failures());
  CHECK(report.ok());
}

TEST_CASE("sequential: equals its layers one by one") {
  Rng rng(1);
  const Dense<double> first({.in_features = 3, .out_features = 4, .activation = Activation::relu},
                            rng);
  const Dense<double> second({.in_features = 4, .out_features = 2}, rng);
  const Sequential both(first, second);
  CHECK(both.in_features() == 3);
  CHECK(both.out_features() == 2);
  const auto x = uniform<double>(3, 5, rng), dy = uniform<double>(2, 5, rng);
  auto cache = both.make_cache(5);
  auto gradient = both.make_gradient();
  Matrix<double> y(2, 5), dx = Matrix<double>::Zero(3, 5);
  both.forward({}, x, y, cache);
  both.backward({}, x, y, dy, dx, gradient, cache);

  auto first_cache = first.make_cache(5), second_cache = second.make_cache(5);
  auto first_gradient = first.make_gradient(), second_gradient = second.make_gradient();
  Matrix<double> h(4, 5), dh = Matrix<double>::Zero(4, 5), y2(2, 5),
                          dx2 = Matrix<double>::Zero(3, 5);
  first.forward({}, x, h, first_cache);
  second.forward({}, h, y2, second_cache);
  second.backward({}, h, y2, dy, dh, second_gradient, second_cache);
  first.backward({}, x, h, dh, dx2, first_gradient, first_cache);
  CHECK(y == y2);
  CHECK(dx == dx2);
  CHECK(std::get<0>(gradient.layers).weight == first_gradient.weight);
  CHECK(std::get<0>(gradient.layers).bias == first_gradient.bias);
  CHECK(std::get<1>(gradient.layers).weight == second_gradient.weight);
  CHECK(std::get<1>(gradient.layers).bias == second_gradient.bias);
}

TEST_CASE("sequential: without dx the first layer does no work for it") {
  Rng rng(1);
  const Sequential layers(Dense<Counted>({.in_features = 3, .out_features = 4}, rng),
                          Dense<Counted>({.in_features = 4, .out_features = 2}, rng));
  auto cache = layers.make_cache(5);
  auto gradient = layers.make_gradient();
  const auto x = uniform<Counted>(3, 5, rng), dy = uniform<Counted>(2, 5, rng);
  Matrix<Counted> y(2, 5);
  layers.forward({}, x, y, cache);
  Counted::reset();
  layers.backward({}, x, y, dy, not_wanted<Counted>(), gradient, cache);
  // Two weight gradients with their biases, and the input gradient of the second layer alone.
  CHECK(Counted::count() == 5 * (2 * 12 + 4 + 2 * 8 + 2 + 2 * 8));
  CHECK(layers.flops(5, cache).backward == Counted::count());
  CHECK(layers.flops(5, cache).input_gradient == 5 * 2 * 12);
}

TEST_CASE("sequential: regularization is the sum") {
  const Sequential layers(HalfSquares<float>(2), Relu<float>(2), HalfSquares<float>(2));
  Matrix<float> x(2, 1), y(2, 1);
  x << 4, -2;
  auto cache = layers.make_cache(1);
  layers.forward({}, x, y, cache);
  CHECK(layers.regularization({}, cache) == 10 + 8);
}

TEST_CASE("sequential: names are positions") {
  Rng rng(1);
  const Sequential layers(Dense<float>({.in_features = 3, .out_features = 4}, rng), Relu<float>(4),
                          Sequential(Dense<float>({.in_features = 4, .out_features = 2}, rng)));
  auto names = [](const auto& module) {
    std::string text;
    for_each_named_leaf([&](const std::string& path, const auto&) { text += path + " "; }, module);
    return text;
  };
  CHECK(names(layers) == "0.weight 0.bias 2.0.weight 2.0.bias ");
  CHECK(names(layers.make_gradient()) == names(layers));
  CHECK(num_parameters(layers) == 3 * 4 + 4 + 4 * 2 + 2);
}

TEST_CASE("sequential: sizes must fit each other") {
  Rng rng(1);
  const Dense<float> dense({.in_features = 3, .out_features = 4}, rng);
  CHECK_THROWS_AS(Sequential(dense, Relu<float>(5)), shape_error);
  CHECK_THROWS_WITH(
      Sequential(Relu<float>(3), dense, Relu<float>(5)),
      "Sequential: in_features of layer 2 (out_features before it): expected 4, got 5");
  const Sequential layers(dense, Relu<float>(4));
  auto cache = layers.make_cache(2);
  Matrix<float> x(2, 2), y(4, 2);
  CHECK_THROWS_AS(layers.forward({}, x, y, cache), shape_error);
  CHECK_THROWS_WITH(layers.forward({}, x, y, cache),
                    ContainsSubstring("Sequential: rows of x (in_features): expected 3, got 2"));
}

TEST_CASE("sequential: refuses more columns than its cache was made for") {
  const Sequential layers(Relu<float>(2), Relu<float>(2));
  auto cache = layers.make_cache(2);
  const Matrix<float> x = Matrix<float>::Ones(2, 3);
  Matrix<float> y(2, 3);
  CHECK_THROWS_AS(layers.forward({}, x, y, cache), shape_error);
  CHECK_THROWS_WITH(
      layers.forward({}, x, y, cache),
      "Sequential: columns: expected at most 2, for which the cache was made, got 3");
}

TEST_CASE("sequential: backward needs a forward of its batch") {
  Rng rng(1);
  const Sequential layers(Dense<float>({.in_features = 3, .out_features = 5}, rng),
                          Dense<float>({.in_features = 5, .out_features = 2}, rng));
  const auto x = uniform<float>(3, 4, rng);
  Matrix<float> y = Matrix<float>::Zero(2, 4);
  auto cache = layers.make_cache(4);
  auto gradient = layers.make_gradient();
  auto backward = [&] { layers.backward({}, x, y, y, not_wanted<float>(), gradient, cache); };
  CHECK_THROWS_AS(backward(), state_error);
  CHECK_THROWS_WITH(backward(), "Sequential: backward: expected a forward before it, got none");
  layers.forward({}, x.leftCols(3), y.leftCols(3), cache);
  CHECK_THROWS_WITH(backward(),
                    "Sequential: columns of backward: expected 3, as in the last forward, got 4");
  CHECK(pack<float>(gradient).isZero(0));
  layers.forward({}, x, y, cache);
  CHECK_NOTHROW(backward());
}
