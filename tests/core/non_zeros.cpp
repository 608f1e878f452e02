// SPDX-License-Identifier: MIT
#include <selgate/core/non_zeros.hpp>

#include "catch.hpp"

#include <limits>
#include <vector>

using namespace selgate;

TEMPLATE_TEST_CASE("non-zeros: found in order, wherever they are", "", float, double, long double) {
  using S = TestType;
  const Index n = GENERATE(0, 1, 7, 8, 9, 16, 30);
  std::vector<S> values(static_cast<std::size_t>(n));
  auto found = [&] {
    std::vector<Index> places;
    for_each_non_zero(values.data(), n, [&](Index i) { places.push_back(i); });
    return places;
  };
  CHECK(found().empty());
  for (Index i = 0; i < n; ++i) {
    for (const S value :
         {S(-1), std::numeric_limits<S>::denorm_min(), std::numeric_limits<S>::quiet_NaN()}) {
      values[static_cast<std::size_t>(i)] = value;
      CHECK(found() == std::vector<Index>{i});
    }
    values[static_cast<std::size_t>(i)] = S(-0.0);
    CHECK(found().empty());
    values[static_cast<std::size_t>(i)] = S(0);
  }
  std::vector<Index> expected;
  for (Index i = 0; i < n; ++i) {
    const bool zero = i % 3 == 1;
    values[static_cast<std::size_t>(i)] = S(zero ? 0 : 1);
    if (!zero) expected.push_back(i);
  }
  CHECK(found() == expected);
}
