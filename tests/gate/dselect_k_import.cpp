// SPDX-License-Identifier: MIT
#include <selgate/gate/dselect_k_import.hpp>

#include <selgate/gate/gate.hpp>

#include "catch.hpp"
#include "head_pass.hpp"
#include "vector.hpp"

#include <limits>

using namespace selgate;
using Catch::Matchers::ContainsSubstring;
using Catch::Matchers::WithinAbs;
using selgate::test::vector;

namespace {

/// A convex combination of `support` of n experts.
template <class S>
Vector<S> convex(Index n, Index support, Rng& rng) {
  Vector<S> w = Vector<S>::Zero(n);
  const auto order = rng.permutation(n);
  for (std::size_t i = 0; i < static_cast<std::size_t>(support); ++i) {
    w[order[i]] = static_cast<S>(rng.uniform(0.05, 1));
  }
  return w / w.sum();
}

}  // namespace

TEMPLATE_TEST_CASE("DSelect-k weights: every convex w with at most k non-zeros has logits", "",
                   float, double) {
  using S = TestType;
  // Proposition 1 of the paper.
  const Index n = GENERATE(1, 2, 3, 5, 8, 9, 16, 33);
  const double gamma = GENERATE(1.0, 0.1), margin = GENERATE(0.0, 0.5);
  Rng rng(static_cast<std::uint64_t>(n));
  for (Index k = 1; k <= std::min<Index>(n, 5); ++k) {
    const DSelectKHead<S> head({.num_experts = n, .k = k, .gamma = gamma});
    for (Index support = 1; support <= k; ++support) {
      const Vector<S> w = convex<S>(n, support, rng);
      const Vector<S> logits = dselect_k_logits(head, w, margin);
      const auto result = pass(head, logits, uniform<S>(n, 1, rng));
      CHECK((result.w - w).cwiseAbs().maxCoeff() <= 8 * std::numeric_limits<S>::epsilon());
      CHECK((result.w.array() != S(0)).count() == support);
      CHECK(result.dlogits.bottomRows(logits.size() - k).isZero(0));  // frozen
    }
  }
}

TEST_CASE("DSelect-k weights: the paper's example that its printed formula misses") {
  // Dividing the last weight by k - s*, and not by k - s* + 1, gives (.4545, .2727, .2727).
  const DSelectKHead<double> head({.num_experts = 5, .k = 5});
  const Vector<double> w = vector({.5, .3, .2, 0., 0.});
  CHECK((weights_of(head, dselect_k_logits(head, w)) - w).cwiseAbs().maxCoeff() <= 1e-15);
}

TEST_CASE("DSelect-k weights: a negative margin leaves the bits to train") {
  const DSelectKHead<double> head({.num_experts = 8, .k = 2, .gamma = 2});
  const Vector<double> w = vector({0., .25, 0., 0., 0., 0., .75, 0.});
  const Matrix<double> logits = dselect_k_logits(head, w, -0.1);
  Rng rng(1);
  const auto result = pass(head, logits, uniform<double>(8, 1, rng));
  CHECK((result.w - w).cwiseAbs().maxCoeff() < 0.02);
  CHECK(result.w.minCoeff() > 0);
  CHECK(result.dlogits.bottomRows(6).cwiseAbs().minCoeff() > 0);
}

TEMPLATE_TEST_CASE("DSelect-k weights: into a bank", "", float, double) {
  using S = TestType;
  const DSelectKOptions options{.in_features = 5, .num_experts = 6, .k = 3};
  Rng rng(1);
  GateBank<StaticMap<S>, DSelectKHead<S>> fixed(options, 2, rng);
  GateBank<Dense<S>, DSelectKHead<S>> linear(options, 2, rng);
  const Vector<S> w = convex<S>(6, 2, rng), other = convex<S>(6, 3, rng);
  const Matrix<S> x = uniform<S>(5, 4, rng);
  auto set = [&](auto& bank) {
    set_weights(bank, 0, w);
    set_weights(bank, 1, other);
    auto weights = bank.make_output(4);
    auto cache = bank.make_cache(4);
    bank.forward({}, x, weights, cache);
    const S tolerance = 8 * std::numeric_limits<S>::epsilon();
    for (Index c = 0; c < weights.num_columns(); ++c) {
      const Vector<S>& expected = c % 2 == 0 ? w : other;
      CHECK((weights.dense().col(c) - expected).cwiseAbs().maxCoeff() <= tolerance);
    }
  };
  set(fixed);
  set(linear);

  GateBank<Dense<S>, DSelectKHead<S>> without_bias(
      {.in_features = 5, .num_experts = 6, .k = 3, .bias = false}, 1, rng);
  CHECK_THROWS_WITH(
      set_weights(without_bias, 0, w),
      "DSelect-k weights: options.bias of a per-example gate: expected true, got false");
}

TEST_CASE("DSelect-k weights: rejects what no logits can give") {
  const DSelectKHead<double> head({.num_experts = 3, .k = 2});
  auto logits = [&](const Vector<double>& w, double margin = 0) {
    return dselect_k_logits(head, w, margin);
  };
  CHECK_THROWS_AS(logits(vector({.5, .5})), shape_error);
  CHECK_THROWS_WITH(logits(vector({.5, .5})), "DSelect-k weights: entries: expected 3, got 2");
  CHECK_THROWS_WITH(logits(vector({1.5, -.5, 0.})),
                    "DSelect-k weights: entry 1: expected >= 0, got -0.5");
  CHECK_THROWS_WITH(logits(vector({.5, .25, .25})),
                    "DSelect-k weights: non-zeros: expected 1..2 (k), got 3");
  CHECK_THROWS_WITH(logits(vector({0., 0., 0.})), ContainsSubstring("non-zeros"));
  CHECK_THROWS_WITH(logits(vector({.5, .25, 0.})), "DSelect-k weights: sum: expected 1, got 0.75");
  CHECK_THROWS_WITH(logits(vector({std::nan(""), 1., 0.})), ContainsSubstring("entry 0"));
  CHECK_THROWS_WITH(logits(vector({1., 0., 0.}), -1),
                    "DSelect-k weights: margin: expected > -1, got -1");
  CHECK_THROWS_AS(logits(vector({1., 0., 0.}), std::nan("")), config_error);
}

TEST_CASE("bit order: reversing turns most significant first into ours") {
  Rng rng(1);
  // The static example of the published values, most significant bit first.
  StaticDSelectKGate<double> gate({.num_experts = 5, .k = 2}, rng);
  gate.map().table = column<double>({.2, -.1, .1, -.2, .3, -.1, .05, .2});
  reverse_bit_order(gate);
  CHECK(gate.map().table == column<double>({.2, -.1, .3, -.2, .1, .2, .05, -.1}));
  const Matrix<double> w = weights_of(gate.head(), gate.map().table);
  const double expected[] = {.04181666, .233978564, .038776961, .16339283, .044110242};
  for (Index e = 0; e < 5; ++e) CHECK_THAT(w(e, 0), WithinAbs(expected[e], 1e-9));

  // A linear map: weights and biases, and again gives back the first.
  DSelectKGate<double> linear({.in_features = 3, .num_experts = 8, .k = 2}, rng);
  const DSelectKGate<double> before = linear;
  const Vector<double> x = uniform<double>(3, 1, rng);
  reverse_bit_order(linear);
  auto weights_at_x = [&](const DSelectKGate<double>& g) {
    auto weights = g.make_output(1);
    auto cache = g.make_cache(1);
    g.forward({}, x, weights, cache);
    return weights.to_dense();
  };
  const Matrix<double> reversed = weights_at_x(linear), original = weights_at_x(before);
  for (Index e = 0; e < 8; ++e) {
    const Index mirrored = (e & 1) << 2 | (e & 2) | (e & 4) >> 2;
    CHECK_THAT(reversed(mirrored, 0), WithinAbs(original(e, 0), 1e-15));
  }
  CHECK(reversed != original);
  reverse_bit_order(linear);
  CHECK(pack<double>(linear) == pack<double>(before));
}

TEST_CASE("bit order: bit j of m becomes bit m - 1 - j, for an even and an odd m") {
  const Index m = GENERATE(1, 2, 3, 4, 5), k = 2;
  Rng rng(static_cast<std::uint64_t>(m));
  StaticDSelectKGate<double> gate({.num_experts = Index{1} << m, .k = k}, rng);
  const Matrix<double> before = gate.map().table;
  reverse_bit_order(gate);
  const Matrix<double>& after = gate.map().table;
  CHECK(after.topRows(k) == before.topRows(k));
  for (Index i = 0; i < k; ++i) {
    const Index first = k + i * m;
    CHECK(after.middleRows(first, m) == before.middleRows(first, m).colwise().reverse());
  }
}
