// SPDX-License-Identifier: MIT
#include <selgate/loss/binary_cross_entropy.hpp>

#include "catch.hpp"
#include "support.hpp"

#include <cmath>

using namespace selgate;
using namespace selgate_test;
using Catch::Matchers::WithinAbs;
using Catch::Matchers::WithinRel;

namespace {

template <class S>
struct Result {
  accumulate_t<S> value;
  S gradient;
};
template <class S>
Result<S> at(S z, S y) {
  const Matrix<S> prediction{{z}};
  const RowVector<S> target{{y}};
  Matrix<S> gradient = Matrix<S>::Zero(1, 1);
  const auto value =
      BinaryCrossEntropy<S>{}.evaluate(prediction, target, all_labelled<S>(), 1, gradient);
  return {value, gradient(0)};
}

}  // namespace

TEST_CASE("binary cross-entropy: gradients equal dual numbers") {
  const Index batch = GENERATE(1, 2, 7, 64);
  const double spread = GENERATE(0.0, 1.0, 30.0);  // 0: the kink of |z|
  const auto label = [](Index b, Rng& rng) { return b % 3 == 2 ? rng.uniform() : double(b % 3); };
  CHECK(worst_gradient_error<BinaryCrossEntropy>(1, batch, spread, label) < 1e-14);
}

TEMPLATE_TEST_CASE("binary cross-entropy: the formula in long double", "", float, double) {
  const double tolerance = 8 * std::numeric_limits<TestType>::epsilon();
  for (const TestType y : {TestType(0), TestType(1), TestType(0.25)}) {
    for (const double logit : {-9.5, -1.0, -0.0, 0.0, 1e-3, 0.5, 3.0, 9.5}) {
      const auto z = TestType(logit);
      const long double p = 1 / (1 + std::exp(-static_cast<long double>(z)));
      const long double loss = -y * std::log(p) - (1 - y) * std::log1p(-p);
      const auto [value, gradient] = at<TestType>(z, y);
      CHECK_THAT(static_cast<double>(value), WithinRel(static_cast<double>(loss), 20 * tolerance));
      CHECK_THAT(static_cast<double>(gradient), WithinAbs(static_cast<double>(p - y), tolerance));
    }
  }
}

TEMPLATE_TEST_CASE("binary cross-entropy: far logits are finite and exact", "", float, double) {
  using S = TestType;
  CHECK(at<S>(S(1e4), S(0)).value == 1e4);
  CHECK(at<S>(S(1e4), S(0)).gradient == 1);
  CHECK(at<S>(S(-1e4), S(1)).value == 1e4);
  CHECK(at<S>(S(-1e4), S(1)).gradient == -1);
  CHECK(at<S>(S(1e4), S(1)).value == 0);
  CHECK(at<S>(S(1e4), S(1)).gradient == 0);
  CHECK(at<S>(S(-1e4), S(0)).value == 0);
  CHECK(at<S>(S(-1e4), S(0)).gradient == 0);
  // A right answer's loss and gradient shrink with exp(-|z|) and do not stop at epsilon.
  const double tail = std::exp(-60.0), tolerance = 8 * std::numeric_limits<S>::epsilon();
  CHECK_THAT(static_cast<double>(at<S>(S(60), S(1)).value), WithinRel(tail, tolerance));
  CHECK_THAT(static_cast<double>(at<S>(S(60), S(1)).gradient), WithinRel(-tail, tolerance));
  CHECK_THAT(static_cast<double>(at<S>(S(-60), S(0)).gradient), WithinRel(tail, tolerance));
}

TEST_CASE("binary cross-entropy: reductions and mask") {
  const Matrix<double> prediction{{0.0, not_a_number<double>, 0.0, 0.0}};
  const RowVector<double> target{{1.0, 7.0, 0.0, not_a_number<double>}}, mask{{1.0, 0.0, 1.0, 0.0}};
  Matrix<double> rows = Matrix<double>::Zero(1, 4), labelled = rows;
  const double over_rows =
      BinaryCrossEntropy<double>{Reduction::over_rows}.evaluate(prediction, target, mask, 2, rows);
  const double over_labelled = BinaryCrossEntropy<double>{Reduction::over_labelled}.evaluate(
      prediction, target, mask, 2, labelled);
  CHECK_THAT(over_rows, WithinRel(std::log(2.0) / 2, 1e-15));
  CHECK_THAT(over_labelled, WithinRel(std::log(2.0), 1e-15));
  CHECK(rows == Matrix<double>{{-0.25, 0.0, 0.25, 0.0}});
  CHECK(labelled == Matrix<double>{{-0.5, 0.0, 0.5, 0.0}});
}

TEST_CASE("binary cross-entropy: a NaN logit is seen in value and gradient") {
  CHECK(std::isnan(at<double>(not_a_number<double>, 1).value));
  CHECK(std::isnan(at<double>(not_a_number<double>, 1).gradient));
}

TEST_CASE("binary cross-entropy: targets are probabilities") {
  CHECK_THROWS_AS(at<double>(0, 1.25), data_error);
  CHECK_THROWS_AS(at<double>(0, -0.25), data_error);
  CHECK_THROWS_WITH(at<double>(0, 1.25),
                    "target: column 0: label: expected a probability 0..1, found 1.25");
  CHECK_THROWS_AS(at<double>(0, not_a_number<double>), numeric_error);
}
