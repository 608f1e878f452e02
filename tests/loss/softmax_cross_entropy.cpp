// SPDX-License-Identifier: MIT
#include <selgate/loss/softmax_cross_entropy.hpp>

#include "catch.hpp"
#include "support.hpp"

#include <cmath>

using namespace selgate;
using namespace selgate_test;
using Catch::Matchers::WithinAbs;
using Catch::Matchers::WithinRel;

TEST_CASE("softmax cross-entropy: gradients equal dual numbers") {
  const Index classes = GENERATE(1, 2, 3, 10), batch = GENERATE(1, 2, 7);
  const double spread = GENERATE(0.0, 1.0, 30.0);  // 0: all logits tie
  const auto label = [classes](Index, Rng& rng) {
    return static_cast<double>(rng.below(static_cast<std::uint64_t>(classes)));
  };
  CHECK(worst_gradient_error<SoftmaxCrossEntropy>(classes, batch, spread, label) < 1e-14);
}

TEMPLATE_TEST_CASE("softmax cross-entropy: the formula in long double", "", float, double) {
  using S = TestType;
  const double eps = std::numeric_limits<S>::epsilon();
  Rng rng(3);
  const Matrix<S> z = uniform<S>(5, 8, rng, -4, 4);
  RowVector<S> target(8);
  for (Index b = 0; b < 8; ++b) target(b) = static_cast<S>(b % 5);
  Matrix<S> gradient = Matrix<S>::Zero(5, 8);
  const auto value = SoftmaxCrossEntropy<S>{}.evaluate(z, target, all_labelled<S>(), 8, gradient);

  long double sum = 0;
  for (Index b = 0; b < 8; ++b) {
    long double total = 0;
    for (Index c = 0; c < 5; ++c) total += std::exp(static_cast<long double>(z(c, b)));
    for (Index c = 0; c < 5; ++c) {
      const long double p = std::exp(static_cast<long double>(z(c, b))) / total;
      if (c == b % 5) sum -= std::log(p);
      const double expected = static_cast<double>(c == b % 5 ? p - 1 : p);
      CHECK_THAT(static_cast<double>(gradient(c, b)), WithinAbs(expected, 8 * eps));
    }
  }
  CHECK_THAT(static_cast<double>(value), WithinRel(static_cast<double>(sum / 8), 16 * eps));
}

TEMPLATE_TEST_CASE("softmax cross-entropy: far logits are finite and exact", "", float, double) {
  using S = TestType;
  Matrix<S> z(3, 2);
  z << S(1e4), S(1e4), S(-1e4), S(-1e4), S(0), S(0);
  const RowVector<S> target{{S(0), S(1)}}, first{{S(1), S(0)}};
  Matrix<S> gradient = Matrix<S>::Zero(3, 2);
  const SoftmaxCrossEntropy<S> loss;
  CHECK(loss.evaluate(z, target, all_labelled<S>(), 2, gradient) == 1e4);
  Matrix<S> expected(3, 2);
  expected << S(0), S(1), S(0), S(-1), S(0), S(0);
  CHECK(gradient == expected);
  CHECK(loss.evaluate(z, target, first, 1, not_wanted<S>()) == 0);

  // A right answer's loss and gradient shrink with the gap and do not stop at epsilon.
  const double tail = std::exp(-60.0), tolerance = 8 * std::numeric_limits<S>::epsilon();
  const Matrix<S> sure{{S(60)}, {S(0)}};
  const RowVector<S> zero{{S(0)}};
  Matrix<S> small = Matrix<S>::Zero(2, 1);
  const auto value = loss.evaluate(sure, zero, all_labelled<S>(), 1, small);
  CHECK_THAT(static_cast<double>(value), WithinRel(tail, tolerance));
  CHECK_THAT(static_cast<double>(small(0)), WithinRel(-tail, tolerance));
  CHECK_THAT(static_cast<double>(small(1)), WithinRel(tail, tolerance));
}

TEST_CASE("softmax cross-entropy: reductions and mask") {
  Matrix<double> z = Matrix<double>::Zero(4, 3);
  z.col(1).setConstant(not_a_number<double>);
  const RowVector<double> target{{3.0, not_a_number<double>, 0.0}}, mask{{1.0, 0.0, 1.0}};
  Matrix<double> gradient = Matrix<double>::Zero(4, 3);
  CHECK_THAT(
      SoftmaxCrossEntropy<double>{Reduction::over_rows}.evaluate(z, target, mask, 12, gradient),
      WithinRel(2 * std::log(4.0) / 3, 1e-15));
  CHECK(gradient.col(0) == Vector<double>{{1.0, 1.0, 1.0, -3.0}});
  CHECK(gradient.col(1).isZero(0));
  CHECK_THAT(SoftmaxCrossEntropy<double>{Reduction::over_labelled}.evaluate(z, target, mask, 1,
                                                                            not_wanted<double>()),
             WithinRel(std::log(4.0), 1e-15));
}

TEST_CASE("softmax cross-entropy: a NaN logit is seen in value and gradient, wherever it stands") {
  const Index place = GENERATE(0, 1, 2);
  Matrix<double> z = Matrix<double>::Zero(3, 1), gradient = z;
  z(place) = not_a_number<double>;
  const RowVector<double> target{{0.0}};
  CHECK(std::isnan(
      SoftmaxCrossEntropy<double>{}.evaluate(z, target, all_labelled<double>(), 1, gradient)));
  CHECK(gradient.array().isNaN().all());
}

TEST_CASE("softmax cross-entropy: labels are classes") {
  const Matrix<double> z = Matrix<double>::Zero(3, 2);
  const SoftmaxCrossEntropy<double> loss;
  for (const double bad : {3.0, -1.0, 0.5}) {
    const RowVector<double> target{{0.0, bad}};
    CHECK_THROWS_AS(loss.evaluate(z, target, all_labelled<double>(), 1, not_wanted<double>()),
                    data_error);
    CHECK_THROWS_WITH(loss.evaluate(z, target, all_labelled<double>(), 1, not_wanted<double>()),
                      "target: column 1: label: expected a class 0..2, found " + to_text(bad));
  }
}
