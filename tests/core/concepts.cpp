// SPDX-License-Identifier: MIT
#include <selgate/core/concepts.hpp>

#include "catch.hpp"

using namespace selgate;
using Catch::Matchers::ContainsSubstring;

namespace {

/// The smallest complete layer: y = -x.
struct Negate {
  using Scalar = double;
  using Cache = Empty;
  using Gradient = Empty;
  Index features = 3;

  [[nodiscard]] Index in_features() const { return features; }
  [[nodiscard]] Index out_features() const { return features; }
  Cache make_cache(Index) const { return {}; }
  Gradient make_gradient() const { return {}; }
  void forward(const Context&, const In<double>& x, Out<double> y, Cache&) const { y = -x; }
  void backward(const Context&, const In<double>&, const In<double>&, const In<double>& dy,
                Out<double> dx, Gradient&, Cache&) const {
    if (wanted<double>(dx)) dx -= dy;
  }
  double regularization(const Context&, const Cache&) const { return 0; }
  [[nodiscard]] Flops flops(Index, const Cache&) const { return {}; }
  template <class F, class... M>
  static void visit(F&&, M&...) {}
};

/// No layer: it would have to be changed to be run.
struct Counting : Negate {
  void forward(const Context&, const In<double>& x, Out<double> y, Cache&) { y = -x; }
};
/// No module: its parameters have no names.
struct Nameless {
  using Scalar = double;
  using Cache = Empty;
  using Gradient = Empty;
  Cache make_cache(Index) const { return {}; }
  Gradient make_gradient() const { return {}; }
};
/// No module: it cannot be copied.
struct Unique : Negate {
  Unique(const Unique&) = delete;
};

static_assert(Layer<Negate> && Module<Negate>);
static_assert(!Layer<Counting> && Module<Counting>);
static_assert(!Module<Unique> && !Module<Nameless> && !Module<int>);

}  // namespace

TEST_CASE("require_forward_shapes: names the layer, the matrix and both sizes") {
  const Matrix<double> good(3, 2), low(2, 2), wide(3, 5);
  const auto check = [](const Matrix<double>& x, Matrix<double> y) {
    require_forward_shapes<Negate, double>({}, "Negate", x, y);
  };
  CHECK_NOTHROW(check(good, good));
  CHECK_THROWS_WITH(check(low, good), "Negate: rows of x (in_features): expected 3, got 2");
  CHECK_THROWS_WITH(check(good, low), "Negate: rows of y (out_features): expected 3, got 2");
  CHECK_THROWS_WITH(check(good, wide), "Negate: columns of y (examples in x): expected 2, got 5");
  CHECK_THROWS_AS(check(good, wide), shape_error);
}

TEST_CASE("require_backward_shapes: every matrix, and dx only where it is wanted") {
  const Matrix<double> good(3, 2), low(2, 2), wide(3, 5);
  const auto check = [](const Matrix<double>& x, const Matrix<double>& y, const Matrix<double>& dy,
                        Matrix<double> dx) {
    require_backward_shapes<Negate, double>({}, "Negate", x, y, dy, dx);
  };
  CHECK_NOTHROW(check(good, good, good, good));
  CHECK_NOTHROW(require_backward_shapes<Negate, double>({}, "Negate", good, good, good,
                                                        not_wanted<double>()));
  CHECK_THROWS_WITH(check(low, good, good, good),
                    "Negate: rows of x (in_features): expected 3, got 2");
  CHECK_THROWS_WITH(check(good, low, good, good),
                    "Negate: rows of y (out_features): expected 3, got 2");
  CHECK_THROWS_WITH(check(good, wide, good, good),
                    "Negate: columns of y (examples in x): expected 2, got 5");
  CHECK_THROWS_WITH(check(good, good, low, good),
                    "Negate: rows of dy (out_features): expected 3, got 2");
  CHECK_THROWS_WITH(check(good, good, wide, good),
                    "Negate: columns of dy (examples in x): expected 2, got 5");
  CHECK_THROWS_WITH(check(good, good, good, low),
                    "Negate: rows of dx (in_features): expected 3, got 2");
  CHECK_THROWS_WITH(check(good, good, good, wide),
                    "Negate: columns of dx (examples in x): expected 2, got 5");
}

TEST_CASE("require_forward_shapes, require_backward_shapes: no output lies over an input") {
  Matrix<double> x(3, 2), y(3, 2), dy(3, 2), dx(3, 2);
  const auto forward = [](const In<double>& in, Out<double> out) {
    require_forward_shapes<Negate, double>({}, "Negate", in, out);
  };
  CHECK_NOTHROW(forward(x, y));
  CHECK_THROWS_WITH(forward(x, x), "Negate: y and x: expected memory apart, got some of both");
  const auto backward = [&](Out<double> out) {
    require_backward_shapes<Negate, double>({}, "Negate", x, y, dy, out);
  };
  CHECK_NOTHROW(backward(dx));
  CHECK_THROWS_WITH(backward(x), ContainsSubstring("dx and x"));
  CHECK_THROWS_WITH(backward(y), ContainsSubstring("dx and y"));
  CHECK_THROWS_WITH(backward(dy), ContainsSubstring("dx and dy"));
}

TEST_CASE("require_gradient: names both sizes") {
  const Matrix<double> weight(2, 3);
  CHECK_NOTHROW(require_gradient("Negate", weight, Matrix<double>(2, 3)));
  CHECK_THROWS_AS(require_gradient("Negate", weight, Matrix<double>(3, 2)), shape_error);
  CHECK_THROWS_WITH(require_gradient("Negate", weight, Matrix<double>(1, 3)),
                    "Negate: rows of the gradient: expected 2, got 1");
  CHECK_THROWS_WITH(require_gradient("Negate", weight, Matrix<double>(2, 4)),
                    "Negate: columns of the gradient: expected 3, got 4");
}
