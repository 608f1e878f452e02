// SPDX-License-Identifier: MIT
#include <selgate/metric/accuracy.hpp>

#include "catch.hpp"
#include "row.hpp"

using namespace selgate;
using namespace selgate_test;

TEMPLATE_TEST_CASE("accuracy: the largest of several classes, the first of equals", "", float,
                   double) {
  using S = TestType;
  Matrix<S> prediction(3, 5);
  prediction << 1, 2, 0, 5, -1,  //
      0, 2, 0, 9, -1,            //
      3, 1, 0, 9, -2;
  Accuracy<S> accuracy;
  accuracy.add(prediction, row<S>({2, 0, 0, 1, 0}), all_labelled<S>());
  CHECK(accuracy.value() == 1.0);
  accuracy.add(prediction, row<S>({0, 1, 2, 2, 1}), all_labelled<S>());
  CHECK(accuracy.value() == 0.5);
}

TEMPLATE_TEST_CASE("accuracy: a logit says class 1 where it is positive", "", float, double) {
  using S = TestType;
  Accuracy<S> accuracy;
  accuracy.add(row<S>({-2, -0.0, 0, 1e-30, 3, 3}), row<S>({0, 0, 0, 1, 1, 0}), all_labelled<S>());
  CHECK(accuracy.value() == 5.0 / 6);
}

TEST_CASE("accuracy: masked examples do not count") {
  Accuracy<double> accuracy;
  const RowVector<double> prediction = row<double>({1, 1, 1, not_a_number<double>});
  const RowVector<double> target = row<double>({1, 0, 0, not_a_number<double>});
  accuracy.add(prediction, target, row<double>({0, 0, 0, 0}));
  CHECK(accuracy.value() == std::nullopt);
  accuracy.add(prediction, target, row<double>({1, 1, 0, 0}));
  CHECK(accuracy.value() == 0.5);
}

TEST_CASE("accuracy: targets are classes") {
  Accuracy<double> accuracy;
  const Matrix<double> logit(1, 1), three = Matrix<double>::Zero(3, 1);
  CHECK_THROWS_AS(accuracy.add(logit, row<double>({0.5}), all_labelled<double>()), data_error);
  CHECK_THROWS_WITH(accuracy.add(logit, row<double>({2}), all_labelled<double>()),
                    "target: column 0: label: expected a class 0..1, found 2");
  CHECK_THROWS_WITH(accuracy.add(three, row<double>({3}), all_labelled<double>()),
                    "target: column 0: label: expected a class 0..2, found 3");
}
