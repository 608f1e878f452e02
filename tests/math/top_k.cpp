// SPDX-License-Identifier: MIT
#include <selgate/math/top_k.hpp>

#include <selgate/core/random.hpp>

#include "catch.hpp"

#include <algorithm>
#include <limits>
#include <numeric>
#include <vector>

using namespace selgate;

namespace {

template <class S>
std::vector<std::int32_t> top(const std::vector<S>& z, Index k) {
  std::vector<std::int32_t> kept(static_cast<std::size_t>(k));
  top_k(z.data(), static_cast<Index>(z.size()), k, kept.data());
  return kept;
}
/// By a stable sort: among equals the lowest index first.
template <class S>
std::vector<std::int32_t> sorted_top(const std::vector<S>& z, Index k) {
  std::vector<std::int32_t> order(z.size());
  std::iota(order.begin(), order.end(), 0);
  auto value = [&](std::int32_t e) { return z[static_cast<std::size_t>(e)]; };
  std::stable_sort(order.begin(), order.end(), [&](auto a, auto b) { return value(a) > value(b); });
  order.resize(static_cast<std::size_t>(k));
  std::sort(order.begin(), order.end());
  return order;
}

}  // namespace

TEMPLATE_TEST_CASE("top_k: the k largest, in order of index", "", float, double) {
  const Index n = GENERATE(1, 2, 3, 8, 17, 40);
  Rng rng(static_cast<std::uint64_t>(n));
  for (int repeat = 0; repeat < 100; ++repeat) {
    std::vector<TestType> z;
    const std::uint64_t values = repeat % 2 == 0 ? 4 : 1000;  // many ties, few ties
    for (Index e = 0; e < n; ++e) z.push_back(static_cast<TestType>(rng.below(values)));
    for (Index k = 1; k <= n; ++k) REQUIRE(top(z, k) == sorted_top(z, k));
  }
}

TEST_CASE("top_k: among equals the lowest index wins") {
  CHECK(top(std::vector<double>(40, 0.0), 3) == std::vector<std::int32_t>{0, 1, 2});
  CHECK(top<double>({1, 2, 2, 3, 2}, 2) == std::vector<std::int32_t>{1, 3});
  CHECK(top<double>({0.0, -0.0, 0.0}, 2) == std::vector<std::int32_t>{0, 1});
}

TEST_CASE("top_k: infinities are in order") {
  const double inf = std::numeric_limits<double>::infinity();
  CHECK(top<double>({-inf, -1e308, -inf, inf, 1e308}, 3) == std::vector<std::int32_t>{1, 3, 4});
  CHECK(top<double>({-inf, 0, -inf, -inf}, 3) == std::vector<std::int32_t>{0, 1, 2});
}
