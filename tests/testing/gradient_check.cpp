// SPDX-License-Identifier: MIT
#include <selgate/testing/gradient_check.hpp>

#include "catch.hpp"

#include <cmath>

using namespace selgate;
using Catch::Matchers::WithinAbs;

namespace {
// f = x0^2 x1 + exp(x2), gradient (2 x0 x1, x0^2, exp(x2)).
const auto smooth = []<class T>(const Vector<T>& x) -> T {
  using std::exp;
  return x[0] * x[0] * x[1] + exp(x[2]);
};
const Vector<double> point{{1.5, -2.0, 0.25}};
const Vector<double> exact_gradient{{-6.0, 2.25, std::exp(0.25)}};
}  // namespace

TEST_CASE("gradient check: dual numbers are exact") {
  CHECK((dual_gradient(smooth, point) - exact_gradient).cwiseAbs().maxCoeff() <= 1e-15);
  CHECK(dual_derivative(smooth, point, 1) == 2.25);
}

TEST_CASE("gradient check: central differences") {
  for (Index i = 0; i < 3; ++i) {
    const Difference difference = central_difference(smooth, point, i);
    CHECK_THAT(difference.derivative, WithinAbs(exact_gradient[i], 1e-9));
    CHECK(difference.asymmetry < 1e-5);
  }
  CHECK_THAT(central_difference(smooth, point, 2, 0.5).derivative,
             WithinAbs(std::exp(0.25) * std::sinh(0.5) / 0.5, 1e-14));
}

TEST_CASE("gradient check: a kink is seen by its asymmetry") {
  const auto kinked = []<class T>(const Vector<T>& x) -> T { return x[0] > T(0) ? x[0] : T(0); };
  const Difference at_kink = central_difference(kinked, Vector<double>{{1e-7}}, 0);
  CHECK(at_kink.asymmetry > 0.1);
  CHECK_THAT(at_kink.side_nearest(0.9), WithinAbs(1, 1e-9));
  CHECK_THAT(at_kink.side_nearest(0), WithinAbs(0.1, 1e-9));
  CHECK(central_difference(kinked, Vector<double>{{1e-3}}, 0).asymmetry < 1e-9);
}
