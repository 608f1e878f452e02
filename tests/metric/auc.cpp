// SPDX-License-Identifier: MIT
#include <selgate/metric/auc.hpp>

#include "catch.hpp"
#include "row.hpp"

#include <selgate/core/random.hpp>

#include <cmath>

using namespace selgate;
using namespace selgate_test;

namespace {

template <class S>
std::optional<double> auc(const RowVector<S>& score, const RowVector<S>& target,
                          const RowVector<S>& mask = RowVector<S>()) {
  Auc<S> metric;
  metric.add(score, target, mask);
  return metric.value();
}

}  // namespace

TEMPLATE_TEST_CASE("auc: by hand", "", float, double) {
  using S = TestType;
  CHECK(auc<S>(row<S>({1, 2, 3, 4}), row<S>({0, 0, 1, 1})) == 1.0);
  CHECK(auc<S>(row<S>({4, 3, 2, 1}), row<S>({0, 0, 1, 1})) == 0.0);
  CHECK(auc<S>(row<S>({1, 2, 3, 4}), row<S>({0, 1, 0, 1})) == 0.75);
  CHECK(auc<S>(row<S>({7, 7, 7}), row<S>({0, 1, 0})) == 0.5);
  CHECK(auc<S>(row<S>({2, 2, 1, 3}), row<S>({0, 1, 1, 0})) == 0.125);
  const double inf = std::numeric_limits<double>::infinity();
  CHECK(auc<S>(row<S>({-inf, 0, inf, inf}), row<S>({0, 1, 0, 1})) == 0.625);
}

TEST_CASE("auc: equals the count over all pairs") {
  const Index n = GENERATE(2, 3, 10, 200);
  const double levels = GENERATE(2.0, 20.0, 1e6);  // few levels: many ties
  Rng rng(static_cast<std::uint64_t>(n));
  RowVector<double> score(n), target(n), mask(n);
  for (Index b = 0; b < n; ++b) {
    target(b) = b < 2 ? static_cast<double>(b) : static_cast<double>(rng.below(2));
    mask(b) = b < 2 ? 1 : static_cast<double>(rng.below(4));
    score(b) = std::floor(rng.uniform(0, levels) + 0.3 * levels * target(b));
  }
  double wins = 0, pairs = 0;
  for (Index one = 0; one < n; ++one) {
    for (Index zero = 0; zero < n; ++zero) {
      if (mask(one) == 0 || mask(zero) == 0 || target(one) != 1 || target(zero) != 0) continue;
      wins += score(one) > score(zero) ? 1 : score(one) == score(zero) ? 0.5 : 0;
      ++pairs;
    }
  }
  CHECK(auc<double>(score, target, mask) == wins / pairs);
}

TEST_CASE("auc: empty until both classes were seen") {
  Auc<double> metric;
  CHECK(metric.value() == std::nullopt);
  metric.add(row<double>({1, 2}), row<double>({1, 1}), all_labelled<double>());
  CHECK(metric.value() == std::nullopt);
  metric.add(row<double>({0}), row<double>({0}), row<double>({0}));
  CHECK(metric.value() == std::nullopt);
  metric.add(row<double>({1}), row<double>({0}), all_labelled<double>());
  CHECK(metric.value() == 0.75);
}

TEST_CASE("auc: targets are 0 or 1") {
  CHECK_THROWS_AS(auc<double>(row<double>({1}), row<double>({2})), data_error);
  CHECK_THROWS_AS(auc<double>(row<double>({1}), row<double>({0.5})), data_error);
}
