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
  CHECK(top_k(z.data(), static_cast<Index>(z.size()), k, kept.data()));
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

/// Whole numbers, some of them or most of them equal.
template <class S>
std::vector<S> numbers(Index n, bool ties, Rng& rng) {
  std::vector<S> z;
  for (Index e = 0; e < n; ++e) z.push_back(static_cast<S>(rng.below(ties ? 4 : 1000)));
  return z;
}

}  // namespace

TEMPLATE_TEST_CASE("top_k: the k largest, in order of index", "", float, double) {
  const Index n = GENERATE(1, 2, 3, 8, 17, 40);
  Rng rng(static_cast<std::uint64_t>(n));
  for (int repeat = 0; repeat < 100; ++repeat) {
    const auto z = numbers<TestType>(n, repeat % 2 == 0, rng);
    for (Index k = 1; k <= n; ++k) REQUIRE(top(z, k) == sorted_top(z, k));
  }
}

TEMPLATE_TEST_CASE("top_k: many columns at once = one by one", "", float, double) {
  using S = TestType;
  const Index n = GENERATE(1, 2, 9, 64, 65, 600), k = std::min<Index>(n, GENERATE(1, 2, 5, 64));
  const Index columns = 2 * kernel::TopKTile<S>::columns + 1;
  Rng rng(static_cast<std::uint64_t>(n + k));
  Matrix<S> z(n, columns);
  for (Index c = 0; c < columns; ++c) {
    const auto column = numbers<S>(n, c % 2 == 0, rng);
    z.col(c) = Eigen::Map<const Vector<S>>(column.data(), n);
  }
  z(n / 2, 0) = std::numeric_limits<S>::infinity();
  z.col(1).head(n - 1).setConstant(-std::numeric_limits<S>::infinity());
  Eigen::MatrixX<std::int32_t> kept(k, columns);
  kernel::TopKTile<S> tile(k);
  CHECK(top_k<S>(z, k, kept.data(), tile));
  for (Index c = 0; c < columns; ++c) {
    const std::vector<S> column(z.col(c).data(), z.col(c).data() + n);
    const std::vector<std::int32_t> got(kept.col(c).data(), kept.col(c).data() + k);
    CHECK(got == sorted_top(column, k));
  }
}

TEMPLATE_TEST_CASE("top_k: refuses NaN, wherever it is", "", float, double) {
  using S = TestType;
  constexpr Index n = 40, columns = kernel::TopKTile<S>::columns;
  Rng rng(1);
  Eigen::MatrixX<std::int32_t> kept(3, columns);
  kernel::TopKTile<S> tile(3);
  for (Index e = 0; e < n; ++e) {
    Matrix<S> z = uniform<S>(n, columns, rng);
    z(e, columns - 1) = std::numeric_limits<S>::quiet_NaN();
    CHECK(!top_k(z.col(columns - 1).data(), n, 3, kept.data()));
    CHECK(!top_k<S>(z, 3, kept.data(), tile));
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
