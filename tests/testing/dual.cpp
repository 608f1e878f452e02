// SPDX-License-Identifier: MIT
#include <selgate/testing/dual.hpp>

#include <selgate/core/types.hpp>

#include "catch.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

using namespace selgate;
using Catch::Matchers::WithinAbs;
using Catch::Matchers::WithinRel;

namespace {

using D = Dual<double>;
constexpr D x_of(double value) { return {value, 1}; }

static_assert((x_of(3) * x_of(3)).derivative == 6);
static_assert(std::is_convertible_v<int, D> && !std::is_convertible_v<D, double>);

void check(const D& got, double value, double derivative) {
  CHECK_THAT(got.value, WithinRel(value, 1e-15));
  CHECK_THAT(got.derivative, WithinRel(derivative, 1e-14));
}

}  // namespace

TEST_CASE("dual: arithmetic") {
  const D x = x_of(3), c = 2;
  check(x + c, 5, 1);
  check(c - x, -1, -1);
  check(x * x, 9, 6);
  check(c / x, 2.0 / 3, -2.0 / 9);
  check(-x, -3, -1);
  check(+x, 3, 1);
  check(2 * x + 1, 7, 2);
  D y = x;
  const D& same = y;
  y *= same;
  check(y, 9, 6);
  y /= same;
  check(y + 1, 2, 0);
  y -= same;
  CHECK(y == 0);
}

TEST_CASE("dual: functions") {
  using std::exp;  // as generic code calls them
  check(exp(x_of(0.7)), std::exp(0.7), std::exp(0.7));
  check(expm1(x_of(1e-9)), std::expm1(1e-9), std::exp(1e-9));
  check(log(x_of(0.7)), std::log(0.7), 1 / 0.7);
  check(log1p(x_of(1e-9)), std::log1p(1e-9), 1 / (1 + 1e-9));
  check(sqrt(x_of(9)), 3, 1.0 / 6);
  check(tanh(x_of(0.5)), std::tanh(0.5), 1 - std::tanh(0.5) * std::tanh(0.5));
  check(erf(x_of(0.5)), std::erf(0.5), 0.87878257893544476);  // 2 / sqrt(pi) exp(-1/4)
  check(erfc(x_of(0.5)), std::erfc(0.5), -0.87878257893544476);
  check(abs(x_of(-2)), 2, -1);
  check(abs(x_of(2)), 2, 1);
  CHECK(abs(x_of(0)).derivative == 0);
  check(floor(x_of(2.5)) + 1, 3, 0);
  check(ceil(x_of(2.5)) + 1, 4, 0);
}

TEST_CASE("dual: comparisons see the value alone") {
  CHECK(D(1, 2) == D(1, 3));
  CHECK(D(1, 2) != D(2, 2));
  CHECK(D(1, 9) < D(2, 0));
  CHECK(D(2, 0) >= 2);
  CHECK(std::max(D(1, 5), D(2, 6)).derivative == 6);
  const D nan = std::numeric_limits<D>::quiet_NaN(), inf = std::numeric_limits<D>::infinity();
  CHECK_FALSE(nan == nan);
  CHECK_FALSE(nan < 0);
  CHECK(isnan(nan));
  CHECK(isinf(inf));
  CHECK_FALSE(isfinite(inf));
  CHECK(isfinite(D(1)));
}

TEST_CASE("dual: second derivatives by nesting") {
  const Dual<D> x{{2, 1}, 1};
  CHECK((x * x * x).derivative.derivative == 12);
  CHECK_THAT(exp(x).derivative.derivative, WithinRel(std::exp(2.0), 1e-15));
}

TEST_CASE("dual: a scalar for Eigen") {
  Matrix<D> a = Matrix<double>::Constant(3, 2, 0.5).cast<D>();
  a(1, 0).derivative = 1;
  const Matrix<D> square = a.cwiseProduct(a);
  CHECK(square(1, 0).derivative == 1);
  const Matrix<D> product = a.transpose() * a;  // (0, 0) is the squared norm of column 0
  CHECK(product(0, 0) == 0.75);
  CHECK(product(0, 0).derivative == 1);
  CHECK(product(0, 1).derivative == 0.5);
  const Eigen::Ref<const Matrix<D>> ref = a.topRows(2);
  CHECK(ref.sum() == 2);
  CHECK(ref.colwise().maxCoeff().size() == 2);
  const Eigen::Map<const Vector<D>> map(a.data(), 6);
  CHECK(map.array().exp().sum().derivative == std::exp(0.5));
  CHECK(map.allFinite());
  CHECK(map.cast<double>().sum() == 3);
  CHECK(Eigen::NumTraits<D>::epsilon() == std::numeric_limits<double>::epsilon());
}
