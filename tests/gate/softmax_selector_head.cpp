// SPDX-License-Identifier: MIT
#include <selgate/gate/softmax_selector_head.hpp>

#include <selgate/testing/gate_laws.hpp>

#include "catch.hpp"
#include "head_pass.hpp"

#include <cmath>
#include <limits>

using namespace selgate;
using Catch::Matchers::ContainsSubstring;
using Catch::Matchers::WithinAbs;

namespace {

LawReport check(const SoftmaxSelectorOptions& options, bool hardened, const HeadLawOptions& laws) {
  return check_head(
      [&](auto scalar, Rng&) {
        SoftmaxSelectorHead<decltype(scalar)> head(options);
        if (hardened) head.harden();
        return head;
      },
      laws);
}

}  // namespace

TEST_CASE("softmax-selector head: laws") {
  const Index n = GENERATE(range(1, 10), values({16, 17, 32, 33}));
  const bool hardened = GENERATE(false, true);
  for (const Index k : {Index{1}, std::min<Index>(2, n), n}) {
    for (const double temperature : {1.0, 0.5}) {
      if (k == n && temperature != 1) continue;  // as with fewer, at the highest cost
      const LawReport report =
          check({.num_experts = n,
                 .k = k,
                 .temperature = temperature,
                 .entropy_weight = 0.1 / static_cast<double>(k)},
                hardened,
                {.layer = {.batch = 2, .max_coordinates = 60}, .max_support = hardened ? k : n});
      INFO("n = " << n << ", k = " << k << ", hardened " << hardened << "\n" << report.failures());
      CHECK(report.ok());
    }
  }
}

TEMPLATE_TEST_CASE("softmax-selector head: one expert", "", float, double) {
  using S = TestType;
  const auto result = pass(SoftmaxSelectorHead<S>({.num_experts = 1, .entropy_weight = 1}),
                           column<S>({S(0.3), S(0.8)}), column<S>({5}), {.context = training(1)});
  CHECK(result.w(0, 0) == 1);
  CHECK(result.dlogits.isZero(0));
  CHECK(result.regularization == 0);
}

TEMPLATE_TEST_CASE("softmax-selector head: finite down to temperature 1e-16", "", float, double) {
  using S = TestType;
  const Storage storage = GENERATE(Storage::dense, Storage::routing);
  SoftmaxSelectorHead<S> head({.num_experts = 4, .k = 2});
  const Matrix<S> z =
      column<S>({S(.1), S(-.2), S(.3), S(.1), S(-2), S(.2), S(-1), S(.5), S(.4), S(.5)});
  for (double temperature = 1; temperature > 1e-16; temperature /= 10) {
    head.set_temperature(temperature);
    const auto result = pass(head, z, column<S>({1, 2, 3, 4}), {.storage = storage});
    CHECK(result.w.allFinite());
    CHECK(result.dlogits.allFinite());
    CHECK(std::abs(result.w.sum() - S(1)) <= 16 * std::numeric_limits<S>::epsilon());
  }
  head.set_temperature(1e-16);
  // The first selector has found one expert; in the second two logits are exactly tied, and stay
  // split for ever (the paper's footnote 7).
  const auto cold = pass(head, z, column<S>({1, 2, 3, 4}), {.storage = storage});
  const S a = cold.w(0, 0), b = cold.w(1, 0);
  CHECK_THAT(b, WithinAbs(cold.w(3, 0), 1e-30));
  CHECK(cold.w(2, 0) == 0);
  CHECK(cold.dlogits.block(2, 0, 4, 1).isZero(0));
  CHECK((a > 0 && b > 0));

  head.harden();
  const auto hard = pass(head, z, column<S>({1, 2, 3, 4}), {.storage = storage});
  CHECK((hard.w.array() != S(0)).count() == 2);  // of the tied the lowest index
  CHECK((hard.w(0, 0) == a && hard.w(1, 0) == 2 * b));
  CHECK(hard.dlogits.bottomRows(8).isZero(0));
  CHECK(hard.dlogits.topRows(2).cwiseAbs().minCoeff() > 0);
}

TEST_CASE("softmax-selector head: entropy by hand, in training alone") {
  const SoftmaxSelectorHead<double> head({.num_experts = 4, .k = 2, .entropy_weight = 0.5});
  const Matrix<double> z = Matrix<double>::Zero(10, 3), dw = Matrix<double>::Zero(4, 3);
  Context context = training(3);
  context.entropy_factor = 2;
  const auto result = pass(head, z, dw, {.context = context, .scale = 0.1});
  CHECK_THAT(result.regularization, WithinAbs(0.1 * 0.5 * 2 * 3 * 2 * std::log(4.0), 1e-14));
  CHECK(result.dlogits.cwiseAbs().maxCoeff() <= 1e-16);  // by symmetry
  CHECK(pass(head, z, dw).regularization == 0);
  Matrix<double> masked = z;
  masked(3, 1) = -std::numeric_limits<double>::infinity();
  CHECK(pass(head, masked, dw, {.context = context}).dlogits.allFinite());
}

TEST_CASE("softmax-selector head: says what is wrong with a logit") {
  const SoftmaxSelectorHead<double> head({.num_experts = 2, .k = 2});
  const double inf = std::numeric_limits<double>::infinity();
  Matrix<double> z = Matrix<double>::Zero(6, 2);
  z(4, 1) = inf;
  CHECK_THROWS_WITH(weights_of(head, z),
                    "softmax-selector gate: logit in row 4, column 1: expected a "
                    "finite number or -inf, got inf");
  z.col(1).segment(4, 2).setConstant(-inf);
  CHECK_THROWS_AS(weights_of(head, z), numeric_error);
}

TEST_CASE("softmax-selector head: a cache is made for so many columns") {
  const SoftmaxSelectorHead<float> head({.num_experts = 3});
  auto cache = head.make_cache(2);
  GateOutput<float> weights(Storage::dense, 3, 3);
  const Matrix<float> z = Matrix<float>::Zero(head.num_logits(), 3);
  CHECK_THROWS_AS(head.forward({}, z, weights, cache), shape_error);
  CHECK_THROWS_WITH(
      head.forward({}, z, weights, cache),
      "softmax-selector gate: columns: expected at most 2, for which the cache was made, got 3");
}

TEST_CASE("softmax-selector head: rejects options out of range") {
  auto make = [](const SoftmaxSelectorOptions& options) {
    return SoftmaxSelectorHead<float>(options);
  };
  CHECK_THROWS_WITH(make({.num_experts = 0}),
                    "softmax-selector gate: num_experts: expected >= 1, got 0");
  CHECK_THROWS_WITH(make({.num_experts = 2, .k = 3}),
                    "softmax-selector gate: k: expected 1..2 (num_experts), got 3");
  for (const double bad : {0.0, -1.0, std::nan(""), std::numeric_limits<double>::infinity()}) {
    CHECK_THROWS_WITH(make({.num_experts = 2, .temperature = bad}),
                      ContainsSubstring("temperature: expected a finite number > 0"));
  }
  CHECK_THROWS_WITH(make({.num_experts = 2, .entropy_weight = -1}),
                    ContainsSubstring("entropy_weight: expected a finite number >= 0, got -1"));
  CHECK_THROWS_WITH(make({.num_experts = 2, .logit_range = -1}), ContainsSubstring("logit_range"));
}
