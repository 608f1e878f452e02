// SPDX-License-Identifier: MIT
#include <selgate/math/kernel/lanes.hpp>

#include <selgate/core/random.hpp>

#include "catch.hpp"

#include <vector>

using namespace selgate;

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

TEMPLATE_TEST_CASE("lanes: a part of a pack, next to it nothing is read or written", "", float,
                   double, long double) {
  using S = TestType;
  using L = kernel::Lanes<S>;
  for (Index size = 0; size <= L::count; ++size) {
    const std::vector<S> from(static_cast<std::size_t>(size), S(3));
    std::vector<S> to(static_cast<std::size_t>(L::count), S(7));
    const auto pack = L::load(from.data(), size);
    L::store(pack, to.data(), size);
    for (Index l = 0; l < L::count; ++l) {
      CHECK(kernel::get_lane(pack, l) == (l < size ? S(3) : S(0)));
      CHECK(to[static_cast<std::size_t>(l)] == (l < size ? S(3) : S(7)));
    }
  }
}
