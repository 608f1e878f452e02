// SPDX-License-Identifier: MIT
#include <selgate/loss/squared_error.hpp>

#include "catch.hpp"
#include "support.hpp"

#include <cmath>

using namespace selgate;
using namespace selgate_test;

TEMPLATE_TEST_CASE("squared error: by hand", "", float, double, long double, Dual<double>) {
  using S = TestType;
  const Matrix<S> prediction{{S(1), S(2), S(-1), S(4)}};
  const RowVector<S> target{{S(0), S(4), S(-1), S(8)}}, mask{{S(1), S(1), S(1), S(0)}};
  Matrix<S> gradient = Matrix<S>::Ones(1, 4);
  const SquaredError<S> over_rows{Reduction::over_rows}, over_labelled{Reduction::over_labelled};
  CHECK(double(over_rows.evaluate(prediction, target, all_labelled<S>(), 1, not_wanted<S>())) ==
        5.25);
  CHECK(double(over_rows.evaluate(prediction, target, mask, 2, gradient)) == 1.25);
  CHECK(gradient.template cast<double>() == Matrix<double>{{2.0, -1.0, 1.0, 1.0}});
  gradient.setZero();
  CHECK(double(over_labelled.evaluate(prediction, target, mask, 3, gradient)) == 5.0 / 3);
  CHECK(gradient.template cast<double>() == Matrix<double>{{2.0, -4.0, 0.0, 0.0}});
}

TEST_CASE("squared error: gradients equal dual numbers") {
  const Index batch = GENERATE(1, 2, 7, 64);
  const auto label = [](Index, Rng& rng) { return rng.uniform(-3, 3); };
  CHECK(worst_gradient_error<SquaredError>(1, batch, 5, label) < 1e-14);
}

TEST_CASE("squared error: float keeps the digits of the square") {
  // In float alone the square of 4096.5 would lose its last digits.
  const Matrix<float> prediction{{4096.5f}};
  const RowVector<float> target{{0.0f}};
  CHECK(SquaredError<float>{}.evaluate(prediction, target, all_labelled<float>(), 1,
                                       not_wanted<float>()) == 4096.5 * 4096.5);
}

TEST_CASE("squared error: nothing under the mask is looked at") {
  const Matrix<double> prediction{{1.0, not_a_number<double>}};
  const RowVector<double> target{{3.0, not_a_number<double>}}, mask{{1.0, 0.0}};
  Matrix<double> gradient = Matrix<double>::Zero(1, 2);
  CHECK(SquaredError<double>{}.evaluate(prediction, target, mask, 1, gradient) == 2);
  CHECK(gradient == Matrix<double>{{-2.0, 0.0}});
}

TEST_CASE("squared error: a bad label on the last column adds nothing to the first") {
  const Matrix<double> prediction{{1.0, 2.0}};
  Matrix<double> gradient = Matrix<double>::Zero(1, 2), narrow = Matrix<double>::Zero(1, 1);
  const RowVector<double> bad{{3.0, not_a_number<double>}}, good{{3.0, 4.0}};
  const SquaredError<double> loss;
  CHECK_THROWS_AS(loss.evaluate(prediction, bad, all_labelled<double>(), 1, gradient),
                  numeric_error);
  CHECK_THROWS_AS(loss.evaluate(prediction, good, all_labelled<double>(), 1, narrow), shape_error);
  CHECK(gradient.isZero(0));
  CHECK(narrow.isZero(0));
}

TEMPLATE_TEST_CASE("squared error: numbers side by side equal numbers apart", "", float, double) {
  using S = TestType;
  const Index batch = GENERATE(1, 7, 8, 16, 33, 70);
  Rng rng(1);
  const Matrix<S> apart = uniform<S>(2, batch, rng), labels = uniform<S>(2, batch, rng);
  const Matrix<S> row = apart.row(1);
  const RowVector<S> target = labels.row(1);
  Matrix<S> gradient = Matrix<S>::Ones(1, batch), expected = Matrix<S>::Ones(2, batch);
  const SquaredError<S> loss;
  const double got = loss.evaluate(row, target, all_labelled<S>(), 0.7, gradient);
  const double one_by_one =
      loss.evaluate(apart.bottomRows(1), target, all_labelled<S>(), 0.7, expected.bottomRows(1));
  CHECK(std::abs(got - one_by_one) <= 1e-14 * one_by_one);
  CHECK(gradient.isApprox(expected.bottomRows(1)));
  CHECK(loss.evaluate(row, target, all_labelled<S>(), 0.7, not_wanted<S>()) == got);
}

TEMPLATE_TEST_CASE("squared error: only a label must be finite", "", float, double) {
  using S = TestType;
  Matrix<S> prediction = Matrix<S>::Ones(1, 40), gradient = Matrix<S>::Zero(1, 40);
  RowVector<S> target = RowVector<S>::Zero(40);
  prediction(0, 3) = not_a_number<S>;
  const SquaredError<S> loss;
  const double value = loss.evaluate(prediction, target, all_labelled<S>(), 1, gradient);
  CHECK((std::isnan(value) && std::isnan(gradient(0, 3)) && gradient(0, 4) == S(0.05)));
  target(17) = std::numeric_limits<S>::infinity();
  CHECK_THROWS_AS(loss.evaluate(prediction, target, all_labelled<S>(), 1, gradient), numeric_error);
}
