// SPDX-License-Identifier: MIT
#include <selgate/math/kernel/lanes.hpp>

#include <selgate/core/random.hpp>

#include "catch.hpp"

#include <vector>

using namespace selgate;

TEMPLATE_TEST_CASE(
    "lanes: gather and scatter equal their definition, next to it nothing is written", "", float,
    double, long double) {
  using S = TestType;
  using L = kernel::Lanes<S>;
  Rng rng(1);
  for (Index columns = 1; columns <= L::count; ++columns) {
    for (Index rows = 0; rows <= 2 * L::count + 1; ++rows) {
      const Matrix<S> x = uniform<double>(rows + 2, columns, rng, 1, 2).template cast<S>();
      std::vector<typename L::Element> lanes(static_cast<std::size_t>(rows),
                                             kernel::broadcast<typename L::Element>(S(7)));
      kernel::gather<S>(x.middleRows(1, rows), lanes.data());
      bool equal = true;
      for (Index i = 0; i < rows; ++i) {
        for (Index l = 0; l < L::count; ++l) {
          const S lane = kernel::get_lane(lanes[static_cast<std::size_t>(i)], l);
          equal &= lane == (l < columns ? x(i + 1, l) : S(0));
        }
      }
      Matrix<S> y = Matrix<S>::Ones(rows + 2, columns), expected = y;
      expected.middleRows(1, rows) = x.middleRows(1, rows);
      kernel::scatter<S>(lanes.data(), y.middleRows(1, rows));
      CAPTURE(columns, rows);
      REQUIRE((equal && y == expected));
    }
  }
}

TEMPLATE_TEST_CASE("lanes: sums of several packs are those of each", "", float, double,
                   long double) {
  using S = TestType;
  using L = kernel::Lanes<S>;
  Rng rng(1);
  const Matrix<S> x = uniform<double>(L::count, 5, rng).template cast<S>();
  typename L::Element packs[5];
  for (Index i = 0; i < 5; ++i) packs[i] = L::load(x.col(i).data());
  S sums[5];
  kernel::sum_lanes<S>(packs, sums);
  for (Index i = 0; i < 5; ++i) {
    CHECK(sums[i] == L::sum(L::load(x.col(i).data())));
    CHECK(std::abs(sums[i] - x.col(i).sum()) <= 16 * std::numeric_limits<S>::epsilon());
  }
}
