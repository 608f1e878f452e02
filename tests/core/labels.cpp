// SPDX-License-Identifier: MIT
#include <selgate/core/labels.hpp>

#include "catch.hpp"

#include <selgate/testing/counted.hpp>
#include <selgate/testing/dual.hpp>

#include <initializer_list>
#include <limits>

using namespace selgate;
using Catch::Matchers::ContainsSubstring;

namespace {

using RowVector = Eigen::Matrix<double, 1, Eigen::Dynamic>;
constexpr double not_a_number = std::numeric_limits<double>::quiet_NaN();

const Matrix<double> three = Matrix<double>::Zero(1, 3);

RowVector row(std::initializer_list<double> entries) {
  return Eigen::Map<const RowVector>(entries.begin(), static_cast<Index>(entries.size()));
}
template <class LabelSet>
Index labels(std::initializer_list<double> target, const LabelSet& set,
             std::initializer_list<double> mask = {}) {
  return require_labels<double>(three, 1, row(target), row(mask), set);
}

}  // namespace

TEST_CASE("labels: a row of a matrix of tasks is passed without a copy") {
  Matrix<float> targets(2, 3);
  targets << 1, 2, 3, 4, 5, 6;
  const Row<float> row = targets.row(1);
  CHECK(row.data() == &targets(1, 0));
  CHECK(row.innerStride() == 2);
  CHECK(row(2) == 6);
}

TEST_CASE("labels: a label is there where its mask is not 0") {
  CHECK(has_label<double>(all_labelled<double>(), 5));
  const RowVector mask = row({0.0, 1.0, 0.5, -0.0});
  CHECK_FALSE(has_label<double>(mask, 0));
  CHECK(has_label<double>(mask, 1));
  CHECK(has_label<double>(mask, 2));
  CHECK_FALSE(has_label<double>(mask, 3));
  CHECK(labels({1.0, 2.0, 3.0}, RealLabel{}) == 3);
  CHECK(labels({1.0, 2.0, 3.0}, RealLabel{}, {0.0, 1.0, 0.0}) == 1);
}

TEST_CASE("labels: sets") {
  CHECK(RealLabel{}.contains(-1e300));
  for (const double y : {0.0, 0.3, 1.0}) CHECK(ProbabilityLabel{}.contains(y));
  for (const double y : {-1e-9, 1 + 1e-9}) CHECK_FALSE(ProbabilityLabel{}.contains(y));
  for (const double y : {0.0, 1.0, 2.0}) CHECK(ClassLabel{3}.contains(y));
  for (const double y : {-1.0, 3.0, 0.5, 1e300, -1e300}) CHECK_FALSE(ClassLabel{3}.contains(y));
  CHECK(ClassLabel{3}.contains(2.0f));
  CHECK(ClassLabel{3}.contains(Counted(2)));
  CHECK_FALSE(ClassLabel{3}.contains(Dual<double>(1.5)));
}

TEST_CASE("labels: one that is not finite is refused by column") {
  const double inf = std::numeric_limits<double>::infinity();
  for (const double bad : {not_a_number, inf, -inf}) {
    CHECK_THROWS_AS(labels({0.0, 0.0, bad}, RealLabel{}), numeric_error);
    CHECK_THROWS_AS(labels({0.0, 0.0, bad}, ClassLabel{2}), numeric_error);
    CHECK(labels({0.0, 0.0, bad}, ClassLabel{2}, {1.0, 1.0, 0.0}) == 2);
  }
  CHECK_THROWS_WITH(labels({0.0, 0.0, not_a_number}, RealLabel{}),
                    "target: column 2: expected a finite number (or 0 in the mask), got nan");
}

TEST_CASE("labels: one outside the set is refused by column and value") {
  CHECK_THROWS_AS(labels({0.0, 2.0, 0.0}, ClassLabel{2}), data_error);
  CHECK_THROWS_WITH(labels({0.0, 2.0, 0.0}, ClassLabel{2}),
                    "target: column 1: label: expected a class 0..1, found 2");
  CHECK_THROWS_WITH(labels({0.0, 0.0, 1.5}, ProbabilityLabel{}),
                    "target: column 2: label: expected a probability 0..1, found 1.5");
  CHECK(labels({0.0, 2.0, 0.0}, ClassLabel{2}, {1.0, 0.0, 1.0}) == 2);
}

TEST_CASE("labels: sizes must agree") {
  const RowVector ok = RowVector::Zero(3);
  const Matrix<double> two_rows = Matrix<double>::Zero(2, 3);
  CHECK_THROWS_AS(require_labels<double>(two_rows, 1, ok, ok, RealLabel{}), shape_error);
  CHECK_THROWS_WITH(require_labels<double>(two_rows, 1, ok, ok, RealLabel{}),
                    ContainsSubstring("prediction: rows: expected 1, got 2"));
  CHECK_THROWS_AS(labels({0, 0}, RealLabel{}), shape_error);
  CHECK_THROWS_WITH(
      labels({0, 0}, RealLabel{}),
      ContainsSubstring("target: entries (examples in prediction): expected 3, got 2"));
  CHECK_THROWS_AS(labels({0, 0, 0}, RealLabel{}, {1, 1, 1, 1}), shape_error);
  CHECK_THROWS_WITH(labels({0, 0, 0}, RealLabel{}, {1, 1, 1, 1}),
                    ContainsSubstring("mask: entries (examples in prediction): expected 3, got 4"));
}
