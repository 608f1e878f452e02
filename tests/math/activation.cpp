// SPDX-License-Identifier: MIT
#include <selgate/math/activation.hpp>

#include <selgate/core/random.hpp>

#include "catch.hpp"

#include <cmath>
#include <limits>

using namespace selgate;

TEMPLATE_TEST_CASE("activation: values", "", float, double) {
  using S = TestType;
  const S tiny = std::numeric_limits<S>::denorm_min(), nan = std::numeric_limits<S>::quiet_NaN(),
          inf = std::numeric_limits<S>::infinity();
  Matrix<S> y(2, 4);
  y << -1, -S(0), -tiny, -inf,  //
      tiny, 2, inf, nan;
  Matrix<S> same = y;
  activate<S>(Activation::identity, same);
  CHECK(same.row(0) == y.row(0));
  CHECK(std::signbit(same(0, 1)));

  activate<S>(Activation::relu, y);
  CHECK(y.row(0) == Matrix<S>::Zero(1, 4));
  for (Index j = 0; j < 4; ++j) CHECK(!std::signbit(y(0, j)));
  CHECK(y.row(1).leftCols(3) == same.row(1).leftCols(3));
  CHECK(std::isnan(y(1, 3)));
}

TEMPLATE_TEST_CASE("activation: gradient is 0 at the kink", "", float, double) {
  using S = TestType;
  const S nan = std::numeric_limits<S>::quiet_NaN();
  Matrix<S> y(1, 4), dy(1, 4), dpre(1, 4);
  y << 0, 2, std::numeric_limits<S>::denorm_min(), nan;
  dy << 5, 6, 7, 8;
  activation_gradient<S>(Activation::relu, y, dy, dpre);
  CHECK(dpre == (Matrix<S>(1, 4) << 0, 6, 7, 8).finished());
  activation_gradient<S>(Activation::identity, y, dy, dpre);
  CHECK(dpre == dy);
  activation_gradient<S>(Activation::relu, y, dpre, dpre);  // in place
  CHECK(dpre == (Matrix<S>(1, 4) << 0, 6, 7, 8).finished());
}

TEMPLATE_TEST_CASE("activation: any number of rows, a part of a matrix", "", float, double,
                   long double) {
  using S = TestType;
  const Index rows = GENERATE(1, 3, 7, 8, 15, 16, 17, 35);
  Rng rng(1);
  const Matrix<S> whole = uniform<S>(rows + 2, 3, rng), dy = uniform<S>(rows, 3, rng);
  Matrix<S> y = whole, dpre(rows, 3);
  activate<S>(Activation::relu, y.middleRows(1, rows));
  activation_gradient<S>(Activation::relu, y.middleRows(1, rows), dy, dpre);
  for (Index b = 0; b < 3; ++b) {
    CHECK(y(0, b) == whole(0, b));
    CHECK(y(rows + 1, b) == whole(rows + 1, b));
    for (Index r = 0; r < rows; ++r) {
      const bool is_on = whole(r + 1, b) > S(0);
      CHECK(y(r + 1, b) == (is_on ? whole(r + 1, b) : S(0)));
      CHECK(dpre(r, b) == (is_on ? dy(r, b) : S(0)));
    }
  }
}
