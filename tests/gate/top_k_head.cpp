// SPDX-License-Identifier: MIT
#include <selgate/gate/top_k_head.hpp>

#include <selgate/gate/softmax_head.hpp>
#include <selgate/testing/gate_laws.hpp>

#include "catch.hpp"
#include "head_pass.hpp"

#include <limits>

using namespace selgate;

namespace {

constexpr TopKOrder orders[] = {TopKOrder::softmax_of_kept, TopKOrder::kept_of_softmax};

LawReport check(const TopKOptions& options, const HeadLawOptions& laws) {
  return check_head([&](auto scalar, Rng&) { return TopKHead<decltype(scalar)>(options); }, laws);
}

}  // namespace

TEST_CASE("top-k head: laws") {
  const Index n = GENERATE(range(1, 10), values({16, 17, 32, 33}));
  for (const TopKOrder order : orders) {
    for (const Index k : {Index{1}, std::min<Index>(2, n), n}) {
      const LawReport report =
          check({.num_experts = n, .k = k, .order = order}, {.max_support = k});
      INFO("n = " << n << ", k = " << k << "\n" << report.failures());
      CHECK(report.ok());
    }
  }
}

TEST_CASE("top-k head: laws with ties") {
  // In one of six columns two logits are tied at the place that decides: the gradient is that of
  // the branch taken, and there is none to measure by differences.
  Rng rng(1);
  Matrix<double> logits = uniform<double>(6, 6, rng);
  logits.col(2) = column<double>({0.1, 0.7, 0.7, 0.9, -0.2, 0});
  for (const TopKOrder order : orders) {
    const LawReport report =
        check({.num_experts = 6, .k = 2, .order = order}, {.logits = logits, .max_support = 2});
    INFO(report.failures());
    CHECK(report.ok());
  }
}

TEMPLATE_TEST_CASE("top-k head: one expert", "", float, double) {
  using S = TestType;
  for (const TopKOrder order : orders) {
    const auto result =
        pass(TopKHead<S>({.num_experts = 1, .order = order}), column<S>({S(0.3)}), column<S>({5}));
    CHECK(result.w(0, 0) == 1);
    CHECK(result.dlogits(0, 0) == 0);
  }
}

TEMPLATE_TEST_CASE("top-k head: among equals the lowest index is kept", "", float, double) {
  using S = TestType;
  const TopKHead<S> head({.num_experts = 40, .k = 3});
  const Storage storage = GENERATE(Storage::dense, Storage::routing);
  Matrix<S> dw(40, 1);
  for (Index e = 0; e < 40; ++e) dw(e, 0) = static_cast<S>(e + 1);
  const auto result = pass(head, Matrix<S>::Zero(40, 1), dw, {.storage = storage});
  for (Index e = 0; e < 40; ++e) {
    const bool kept = e < 3;
    CHECK((result.w(e, 0) != 0) == kept);
    CHECK(!std::signbit(result.w(e, 0)));
    if (!kept) CHECK(result.dlogits(e, 0) == 0);
  }
  CHECK(result.dlogits(0, 0) < 0);
  CHECK(result.dlogits(2, 0) > 0);
}

TEMPLATE_TEST_CASE("top-k head: nothing outside the kept is read", "", float, double) {
  using S = TestType;
  const S nan = std::numeric_limits<S>::quiet_NaN();
  for (const TopKOrder order : orders) {
    const auto result =
        pass(TopKHead<S>({.num_experts = 4, .k = 2, .order = order}), column<S>({1, 3, 2, 0}),
             column<S>({nan, 1, 2, nan}), {.everywhere = true});
    CHECK(result.dlogits.allFinite());
  }
}

TEMPLATE_TEST_CASE("top-k head: k = n is the softmax, bit for bit", "", float, double) {
  using S = TestType;
  const Storage storage = GENERATE(Storage::dense, Storage::routing);
  Rng rng(1);
  const Matrix<S> z = uniform<S>(9, 20, rng, -3, 3), dw = uniform<S>(9, 20, rng);
  const auto softmax = pass(SoftmaxHead<S>({.num_experts = 9}), z, dw, {.storage = storage});
  const auto kept = pass(TopKHead<S>({.num_experts = 9, .k = 9}), z, dw, {.storage = storage});
  CHECK(kept.w == softmax.w);
  CHECK(kept.dlogits == softmax.dlogits);
  const TopKHead<S> other({.num_experts = 9, .k = 9, .order = TopKOrder::kept_of_softmax});
  CHECK(weights_of(other, z) == softmax.w);
  CHECK(other.sums_to_one());
}

TEMPLATE_TEST_CASE("top-k head: with k = 1 the weight is the constant 1, or the probability", "",
                   float, double) {
  using S = TestType;
  const Matrix<S> z = column<S>({0, S(0.5), S(-0.25)}), dw = column<S>({1, 2, 3});
  const auto constant = pass(TopKHead<S>({.num_experts = 3, .k = 1}), z, dw);
  CHECK(constant.w == column<S>({0, 1, 0}));
  CHECK(constant.dlogits.isZero(0));
  const auto switched =
      pass(TopKHead<S>({.num_experts = 3, .k = 1, .order = TopKOrder::kept_of_softmax}), z, dw);
  CHECK(switched.w(1, 0) == weights_of(SoftmaxHead<S>({.num_experts = 3}), z)(1, 0));
  CHECK(switched.dlogits(1, 0) > S(0.1));
}

TEMPLATE_TEST_CASE("top-k head: a logit of exactly 0 is kept, and -inf weighs 0", "", float,
                   double) {
  using S = TestType;
  const S inf = std::numeric_limits<S>::infinity();
  CHECK(weights_of(TopKHead<S>({.num_experts = 3, .k = 2}), column<S>({0, -5, 0})) ==
        column<S>({0.5, 0, 0.5}));
  for (const Storage storage : {Storage::dense, Storage::routing}) {
    const auto result = pass(TopKHead<S>({.num_experts = 3, .k = 2}), column<S>({-inf, 2, -inf}),
                             column<S>({7, 1, 7}), {.storage = storage});
    CHECK(result.w == column<S>({0, 1, 0}));
    CHECK(result.dlogits.isZero(0));
  }
}

TEST_CASE("top-k head: another k at inference") {
  TopKHead<double> head({.num_experts = 4, .k = 1});
  const Matrix<double> z = column<double>({0.5, 2, 1, -1});
  head.set_k(2);
  CHECK(head.k() == 2);
  CHECK(weights_of(head, z) == weights_of(TopKHead<double>({.num_experts = 4, .k = 2}), z));
  CHECK_THROWS_WITH(head.set_k(5), "top-k gate: k: expected 1..4 (num_experts), got 5");
  CHECK_THROWS_AS(head.set_k(0), config_error);
  CHECK(head.k() == 2);
}

TEST_CASE("top-k head: a cache serves any k, and backward the k of its forward") {
  const TopKOrder order = GENERATE(TopKOrder::softmax_of_kept, TopKOrder::kept_of_softmax);
  TopKHead<double> head({.num_experts = 6, .k = 2, .order = order});
  Rng rng(1);
  const Matrix<double> z = uniform<double>(6, 5, rng), dw = uniform<double>(6, 5, rng);
  auto cache = head.make_cache(5);
  auto gradient = head.make_gradient();
  for (const Index k : {5, 1, 6}) {
    const auto expected = pass(TopKHead<double>({.num_experts = 6, .k = k, .order = order}), z, dw);
    GateOutput<double> weights(Storage::dense, 6, 5), dweights = weights;
    Matrix<double> dlogits = Matrix<double>::Zero(6, 5);
    head.set_k(k);
    head.forward({}, z, weights, cache);
    CHECK(weights.to_dense() == expected.w);
    dweights.zero_like(weights);
    dweights.dense() = (expected.w.array() != 0).select(dw, 0);
    head.set_k(3);
    head.backward({}, z, weights, dweights, 1, dlogits, gradient, cache);
    CHECK(dlogits == expected.dlogits);
  }
}

TEMPLATE_TEST_CASE("top-k head: kept logits of -inf leave both storages the same bits", "", float,
                   double) {
  using S = TestType;
  const TopKOrder order = GENERATE(TopKOrder::softmax_of_kept, TopKOrder::kept_of_softmax);
  Rng rng(1);
  Matrix<S> z = uniform<S>(40, 20, rng);
  const Matrix<S> dw = uniform<S>(40, 20, rng);
  for (Index c = 0; c < 20; ++c) {
    for (Index e = 0; e < 15; ++e) z((7 * e + c) % 40, c) = -std::numeric_limits<S>::infinity();
  }
  const TopKHead<S> head({.num_experts = 40, .k = 30, .order = order});
  const auto dense = pass(head, z, dw), sparse = pass(head, z, dw, {.storage = Storage::routing});
  CHECK(sparse.weights.routing().num_entries() == 20 * 25);
  CHECK(sparse.w == dense.w);
  CHECK(sparse.dlogits == dense.dlogits);
}

TEST_CASE("top-k head: says what is wrong with a logit") {
  const TopKHead<double> head({.num_experts = 3, .k = 1});
  const double inf = std::numeric_limits<double>::infinity(),
               nan = std::numeric_limits<double>::quiet_NaN();
  CHECK_THROWS_WITH(
      weights_of(head, column<double>({1, inf, 0})),
      "top-k gate: logit in row 1, column 0: expected a finite number or -inf, got inf");
  CHECK_THROWS_AS(weights_of(head, column<double>({1, 0, nan})),
                  numeric_error);  // not in the top 1
  CHECK_THROWS_AS(weights_of(head, column<double>({-inf, -inf, -inf})), numeric_error);
  Rng rng(1);
  Matrix<double> many = uniform<double>(3, 40, rng);
  many(2, 17) = nan;
  many(0, 18) = inf;
  CHECK_THROWS_WITH(weights_of(head, many),
                    "top-k gate: logit in row 2, column 17: expected a "
                    "finite number or -inf, got nan");
  many(0, 16) = inf;
  CHECK_THROWS_WITH(weights_of(head, many), Catch::Matchers::ContainsSubstring("row 0, column 16"));
}

TEST_CASE("top-k head: a cache is made for so many columns") {
  const TopKHead<float> head({.num_experts = 3});
  auto cache = head.make_cache(2);
  GateOutput<float> weights(Storage::dense, 3, 3);
  const Matrix<float> z = Matrix<float>::Zero(head.num_logits(), 3);
  CHECK_THROWS_AS(head.forward({}, z, weights, cache), shape_error);
  CHECK_THROWS_WITH(head.forward({}, z, weights, cache),
                    "top-k gate: columns: expected at most 2, for which the cache was made, got 3");
}

TEST_CASE("top-k head: rejects options out of range") {
  auto make = [](const TopKOptions& options) { return TopKHead<float>(options); };
  CHECK_THROWS_WITH(make({.num_experts = 0}), "top-k gate: num_experts: expected >= 1, got 0");
  CHECK_THROWS_WITH(make({.num_experts = 4, .k = 0}),
                    "top-k gate: k: expected 1..4 (num_experts), got 0");
  CHECK_THROWS_WITH(make({.num_experts = 4, .k = -1}),
                    "top-k gate: k: expected 1..4 (num_experts), got -1");
  CHECK_THROWS_AS(make({.num_experts = 4, .k = 5}), config_error);
  CHECK_THROWS_WITH(make({.num_experts = 4, .logit_range = -0.5}),
                    "top-k gate: logit_range: expected a finite number >= 0, got -0.5");
}

TEST_CASE("top-k head: a cache of the other order serves both") {
  const Matrix<double> logits = column<double>({1, 3, 2, 0});
  auto weights_in = [&](TopKOrder order, TopKHead<double>::Cache& cache) {
    const TopKHead<double> head({.num_experts = 4, .k = 2, .order = order});
    GateOutput<double> weights(Storage::dense, 4, 1);
    head.forward({}, logits, weights, cache);
    return weights.to_dense();
  };
  for (const TopKOrder order : {TopKOrder::softmax_of_kept, TopKOrder::kept_of_softmax}) {
    const TopKHead<double> head({.num_experts = 4, .k = 2, .order = order});
    auto cache = head.make_cache(1);
    for (const TopKOrder of : {TopKOrder::kept_of_softmax, TopKOrder::softmax_of_kept}) {
      auto own = TopKHead<double>({.num_experts = 4, .k = 2, .order = of}).make_cache(1);
      CHECK(weights_in(of, cache) == weights_in(of, own));
    }
  }
}
