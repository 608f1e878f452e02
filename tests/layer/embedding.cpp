// SPDX-License-Identifier: MIT
#include <selgate/layer/embedding.hpp>

#include "catch.hpp"

#include <cmath>
#include <string>
#include <vector>

using namespace selgate;
using Ids = std::vector<std::int32_t>;

static_assert(Module<Embedding<float>> && Module<Embedding<double>>);
static_assert(Module<Embedding<long double>> && !Layer<Embedding<float>>);

TEMPLATE_TEST_CASE("embedding: looks rows up", "", float, double, long double) {
  using S = TestType;
  Rng rng(1);
  Embedding<S> layer({.rows = 3, .features = 2}, rng);
  layer.weight << 1, 2, 3,  //
      -1, -2, -3;
  Matrix<S> y(2, 4);
  layer.forward({}, Ids{2, 0, 2, 1}, y);
  CHECK(y == (Matrix<S>(2, 4) << 3, 1, 3, 2, -3, -1, -3, -2).finished());
  CHECK(layer.out_features() == 2);
}

TEMPLATE_TEST_CASE("embedding: the gradients of repeated ids add", "", float, double, long double) {
  using S = TestType;
  Rng rng(1);
  const Embedding<S> layer({.rows = 4, .features = 2}, rng);
  auto gradient = layer.make_gradient();
  Matrix<S> dy(2, 3), expected(2, 4);
  dy << 1, 2, 4,  //
      10, 20, 40;
  layer.backward({}, Ids{3, 1, 3}, dy, gradient);
  expected << 0, 2, 0, 5,  //
      0, 20, 0, 50;
  CHECK(gradient.weight == expected);
  CHECK(std::vector<Index>(gradient.touched.begin(), gradient.touched.end()) ==
        std::vector<Index>{3, 1});
  layer.backward({}, Ids{0, 3, 1}, dy, gradient);
  expected << 1, 6, 0, 7,  //
      10, 60, 0, 70;
  CHECK(gradient.weight == expected);
  CHECK(gradient.touched.size() == 3);
  CHECK(layer.flops(3) == Flops{.backward = 6});
}

TEST_CASE("embedding: set_zero visits the touched rows alone") {
  Rng rng(1);
  const Embedding<double> layer({.rows = 5, .features = 3}, rng);
  auto gradient = layer.make_gradient();
  gradient.weight.setConstant(7);  // as if untouched rows held something
  layer.backward({}, Ids{4, 1, 4}, Matrix<double>::Ones(3, 3), gradient);
  set_zero(gradient);
  Matrix<double> expected = Matrix<double>::Constant(3, 5, 7);
  expected.col(1).setZero();
  expected.col(4).setZero();
  CHECK(gradient.weight == expected);
  CHECK(gradient.touched.size() == 0);
  set_zero(gradient);
  CHECK(gradient.weight == expected);
}

TEST_CASE("embedding: a walk over touched rows meets gradient and table side by side") {
  Rng rng(1);
  Embedding<double> layer({.rows = 6, .features = 2}, rng);
  const Matrix<double> before = layer.weight;
  auto gradient = layer.make_gradient();
  layer.backward({}, Ids{5, 2}, Matrix<double>::Ones(2, 2), gradient);
  int leaves = 0;
  for_each_touched_leaf(
      [&](const auto& from, const auto& to) {
        CHECK(from.shape == Shape{2});
        to.array() -= from.array();
        ++leaves;
      },
      gradient, layer);
  CHECK(leaves == 2);
  CHECK(layer.weight == before - gradient.weight);
}

namespace {
/// Notes name and index of what a visit shows.
template <Blocks B>
struct Names {
  static constexpr Blocks blocks = B;
  std::string& text;
  template <class... Leaves>
  void operator()(const char* name, Index index, const Leaves&...) const {
    text += std::string(name) + " " + to_text(index) + "\n";
  }
};
}  // namespace

TEST_CASE("embedding: names and shapes") {
  Rng rng(1);
  Embedding<float> layer({.rows = 9, .features = 2}, rng);
  auto gradient = layer.make_gradient();
  std::string text;
  for_each_named_leaf(
      [&](const std::string& path, const auto& leaf, const auto& other) {
        text += path;
        for (int i = 0; i < leaf.shape.rank; ++i) text.append(" ").append(to_text(leaf.shape[i]));
        CHECK(leaf.shape == other.shape);
      },
      layer, gradient);
  CHECK(text == "weight 9 2");
  CHECK(num_parameters(layer) == 18);

  layer.backward({}, Ids{8, 0}, Matrix<float>::Ones(2, 2), gradient);
  std::string all, touched;
  Embedding<float>::visit(Names<Blocks::all>{all}, gradient, layer);
  Embedding<float>::visit(Names<Blocks::touched>{touched}, gradient, layer);
  CHECK(all == "weight -1\n");
  CHECK(touched == "weight 8\nweight 0\n");
}

TEST_CASE("embedding: initial values") {
  Rng rng(1);
  const Embedding<double> layer({.rows = 500, .features = 8}, rng);
  // The mean square of 4000 draws of U(+-r) is r^2/3 within 5 standard errors of 0.9 r^2/3 / 63.
  CHECK(layer.weight.cwiseAbs().maxCoeff() <= 0.05);
  CHECK(std::abs(layer.weight.squaredNorm() / 4000 / (0.05 * 0.05 / 3) - 1) < 0.08);
  CHECK(layer.make_gradient().weight.isZero(0));
  CHECK(layer.make_gradient().touched.size() == 0);
}

TEST_CASE("embedding: rejects sizes below 1") {
  Rng rng(1);
  CHECK_THROWS_AS(Embedding<float>({.rows = 0, .features = 1}, rng), config_error);
  CHECK_THROWS_WITH(Embedding<float>({.rows = 0, .features = 1}, rng),
                    "Embedding: rows: expected >= 1, got 0");
  CHECK_THROWS_WITH(Embedding<float>({.rows = 1, .features = -2}, rng),
                    "Embedding: features: expected >= 1, got -2");
}

TEST_CASE("embedding: rejects ids without a row before it writes") {
  Rng rng(1);
  const Embedding<float> layer({.rows = 10, .features = 1}, rng);
  Matrix<float> y = Matrix<float>::Constant(1, 3, 7), before = y;
  auto gradient = layer.make_gradient();
  CHECK_THROWS_AS(layer.forward({}, Ids{1, 2, 10}, y), config_error);
  CHECK_THROWS_WITH(layer.forward({}, Ids{1, 2, 10}, y),
                    "Embedding: id at position 2: expected 0..9, got 10");
  CHECK(y == before);
  CHECK_THROWS_WITH(layer.backward({}, Ids{1, -1, 3}, y, gradient),
                    "Embedding: id at position 1: expected 0..9, got -1");
  CHECK(gradient.weight.isZero(0));
  CHECK(gradient.touched.size() == 0);
}

TEST_CASE("embedding: says which size is wrong") {
  Rng rng(1);
  const Embedding<float> layer({.rows = 10, .features = 2}, rng);
  Matrix<float> wide(2, 3), low(1, 2);
  auto gradient = layer.make_gradient();
  CHECK_THROWS_AS(layer.forward({}, Ids{1, 2}, wide), shape_error);
  CHECK_THROWS_WITH(layer.forward({}, Ids{1, 2}, wide),
                    "Embedding: columns of y or dy (ids): expected 2, got 3");
  CHECK_THROWS_WITH(layer.backward({}, Ids{1, 2}, low, gradient),
                    "Embedding: rows of y or dy (features): expected 2, got 1");
}

TEST_CASE("embedding: a table that nobody counts, a gradient of another") {
  Rng rng(1);
  CHECK_THROWS_AS(Embedding<float>({.rows = Index{1} << 61, .features = 16}, rng), config_error);
  const Embedding<float> layer({.rows = 10, .features = 2}, rng),
      small({.rows = 3, .features = 2}, rng);
  auto gradient = small.make_gradient();
  CHECK_THROWS_AS(layer.backward({}, Ids{9}, Matrix<float>(2, 1), gradient), shape_error);
}
