// SPDX-License-Identifier: MIT
#include <selgate/math/transpose.hpp>

#include <selgate/core/random.hpp>

#include "catch.hpp"

using namespace selgate;

TEMPLATE_TEST_CASE("transpose: equals its definition, next to it nothing is written", "", float,
                   double, long double) {
  using S = TestType;
  const Index rows = GENERATE(1, 3, 16, 21), columns = GENERATE(1, 8, 16, 37);
  Rng rng(1);
  const Matrix<S> x = uniform<double>(rows + 2, columns, rng).template cast<S>();
  Matrix<S> y = Matrix<S>::Ones(columns + 1, rows);
  transpose<S>(x.middleRows(1, rows), y.topRows(columns));
  CHECK(y.topRows(columns) == x.middleRows(1, rows).transpose());
  CHECK(y.row(columns) == Matrix<S>::Ones(1, rows));
}
