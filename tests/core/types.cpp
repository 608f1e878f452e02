// SPDX-License-Identifier: MIT
#include <selgate/core/types.hpp>

#include "catch.hpp"

using namespace selgate;

static_assert(std::same_as<accumulate_t<float>, double>);
static_assert(std::same_as<accumulate_t<double>, double>);
static_assert(std::same_as<accumulate_t<long double>, long double>);

TEST_CASE("as_columns: one row of the array becomes one column, the bytes stay where they are") {
  Eigen::Matrix<float, Eigen::Dynamic, Eigen::Dynamic, Eigen::RowMajor> rows(2, 3);
  rows << 1, 2, 3,  //
      4, 5, 6;
  const auto columns = as_columns(rows);
  CHECK(columns.data() == rows.data());
  REQUIRE(columns.rows() == 3);
  REQUIRE(columns.cols() == 2);
  CHECK(columns.col(0) == Eigen::Vector3f(1, 2, 3));
  CHECK(columns.col(1) == Eigen::Vector3f(4, 5, 6));

  // What a pass reads binds to it without a copy.
  const In<float> in = columns;
  CHECK(in.data() == rows.data());
}

TEST_CASE("not_wanted: the one output that is not wanted") {
  CHECK(!wanted<double>(not_wanted<double>()));
  Matrix<double> y(1, 1);
  CHECK(wanted<double>(y));
}

TEST_CASE("view: part of a buffer, read or written in place") {
  Matrix<double> buffer = Matrix<double>::Zero(4, 3);
  View<double> part(buffer.data() + 1, 2, 3, Eigen::OuterStride<>(4));
  part.col(2).setConstant(7);
  CHECK(buffer(0, 2) == 0);
  CHECK(buffer(1, 2) == 7);
  CHECK(buffer(2, 2) == 7);
  CHECK(buffer(3, 2) == 0);
  const View<const double> seen(buffer.data() + 1, 2, 3, Eigen::OuterStride<>(4));
  CHECK(seen.sum() == 14);
}

TEST_CASE("share_memory: exact for parts of one matrix") {
  const Matrix<double> whole = Matrix<double>::Zero(6, 4), other = whole;
  const auto share = [](const auto& a, const auto& b) { return share_memory<double>(a, b); };
  CHECK(share(whole, whole));
  CHECK_FALSE(share(whole, other));
  CHECK(share(whole.topRows(3), whole.middleRows(2, 2)));
  CHECK(share(whole.middleRows(2, 2), whole.topRows(3)));
  CHECK_FALSE(share(whole.topRows(3), whole.bottomRows(3)));  // which lie between each other
  CHECK_FALSE(share(whole.bottomRows(3), whole.topRows(3)));
  CHECK_FALSE(share(whole.leftCols(2), whole.rightCols(2)));
  CHECK(share(whole.leftCols(3), whole.rightCols(2)));
  CHECK_FALSE(share(whole.leftCols(0), whole));
  // The same memory in other columns: taken for shared.
  CHECK(share(whole, View<const double>(whole.data(), 2, 2, Eigen::OuterStride<>(3))));
}
