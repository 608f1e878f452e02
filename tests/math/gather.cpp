// SPDX-License-Identifier: MIT
#include <selgate/math/kernel/gather.hpp>

#include <selgate/core/random.hpp>

#include "catch.hpp"

#include <vector>

using namespace selgate;

TEMPLATE_TEST_CASE("gather: it and scatter equal their definition, next to it nothing is written",
                   "", float, double, long double) {
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

TEMPLATE_TEST_CASE("gather: packs of examples side by side", "", float, double) {
  using S = TestType;
  using L = kernel::Lanes<S>;
  Rng rng(1);
  const Index rows = 2 * L::count + 1;
  for (const Index columns : {Index{1}, L::count, L::count + 1, 3 * L::count}) {
    const Matrix<S> x = uniform<S>(rows, columns, rng, 1, 2);
    std::vector<typename L::Element[3]> packs(static_cast<std::size_t>(rows));
    kernel::gather_packs<S, 3>(x, packs.data());
    bool equal = true;
    for (Index r = 0; r < rows; ++r) {
      for (Index b = 0; b < 3 * L::count; ++b) {
        const auto& pack = packs[static_cast<std::size_t>(r)][b / L::count];
        equal &= pack[b % L::count] == (b < columns ? x(r, b) : S(0));
      }
    }
    Matrix<S> y(rows, columns);
    kernel::scatter_packs<S, 3>(packs.data(), y);
    CAPTURE(columns);
    CHECK((equal && y == x));
  }
}
