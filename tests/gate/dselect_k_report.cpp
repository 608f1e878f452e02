// SPDX-License-Identifier: MIT
#include <selgate/gate/dselect_k_report.hpp>

#include "catch.hpp"

#include <selgate/gate/dselect_k_import.hpp>
#include <selgate/gate/gate.hpp>

namespace selgate {
namespace {

using HeadD = DSelectKHead<double>;

/// Logits of one column: k alphas of 0, then the bits of each selector, in units of gamma.
Vector<double> column(const HeadD& head,
                      std::initializer_list<std::initializer_list<double>> bits) {
  Vector<double> z = Vector<double>::Zero(head.num_logits());
  Index at = head.k();
  for (const auto& selector : bits) {
    for (double bit : selector) z[at++] = bit * head.options().gamma;
  }
  return z;
}

}  // namespace

TEST_CASE("dselect-k report: support, distinct codes and binary bits are apart") {
  const HeadD head({.num_experts = 4, .k = 2, .gamma = 2});
  // One bit of each selector is fractional: four experts in the support, but both selectors lean
  // to 1.
  const auto half = report(head, column(head, {{0.3, -0.6}, {0.2, -0.7}}));
  CHECK(half.mean_support == 2);
  CHECK(half.mean_distinct_codes == 1);
  CHECK(half.binary_bits == 0.5);
  CHECK_FALSE(half.converged());

  const auto done = report(head, column(head, {{0.6, -0.6}, {-0.6, 0.6}}));
  CHECK(done.mean_support == 2);
  CHECK(done.max_support == 2);
  CHECK(done.mean_distinct_codes == 2);
  CHECK(done.converged());

  const auto same = report(head, column(head, {{0.6, -0.6}, {0.7, -0.6}}));
  CHECK(same.max_support == 1);
  CHECK(same.twins == 0);  // the same choice, by different logits
}

TEST_CASE("dselect-k report: selector states") {
  const HeadD head({.num_experts = 5, .k = 2, .gamma = 1});
  const Vector<double> z = column(head, {{0.5, -0.5, 0.5}, {-0.5, 0.4, 0.5}});
  const SelectorState frozen = selector_state(head, z.data(), 0);
  CHECK(frozen.frozen());
  CHECK(frozen.code == 5);
  CHECK(frozen.expert == -1);
  CHECK(frozen.unreachable());
  const SelectorState open = selector_state(head, z.data(), 1);
  CHECK(open.fractional_bits == 1);
  CHECK(open.code == -1);
  CHECK_FALSE(open.unreachable());
  CHECK(report(head, z).unreachable == 0.5);

  const HeadD folded({.num_experts = 5, .k = 2, .spare_codes = SpareCodes::fold});
  CHECK(selector_state(folded, z.data(), 0).expert == 1);
  CHECK(report(folded, z).unreachable == 0);
}

TEST_CASE("dselect-k report: one expert has no bits") {
  const HeadD head({.num_experts = 1, .k = 1});
  const auto r = report(head, Vector<double>::Zero(1));
  CHECK(r.mean_support == 1);
  CHECK(r.binary_bits == 1);
  CHECK(report(head, Matrix<double>(1, 0)).columns == 0);
  CHECK_FALSE(report(head, Matrix<double>(1, 0)).converged());
}

TEST_CASE("dselect-k watch: a healthy gate says nothing") {
  for (std::uint64_t seed = 0; seed < 100; ++seed) {
    Rng rng(seed);
    const StaticDSelectKGate<double> gate({.num_experts = 8, .k = 2}, rng);
    DSelectKWatch watch(100);
    CHECK(watch.observe(0, gate.head(), gate.map().table).empty());
    CHECK(watch.frozen_since() == -1);
    auto chosen = column(gate.head(), {{0.6, 0.6, -0.7}, {-0.6, 0.6, 0.6}});
    CHECK(watch.observe(100, gate.head(), chosen).empty());
    CHECK(watch.frozen_since() == 100);
  }
}

TEST_CASE("dselect-k watch: raw pixels saturate the bits before the first step") {
  for (std::uint64_t seed = 0; seed < 25; ++seed) {
    Rng rng(seed);
    const DSelectKGate<double> gate({.in_features = 784, .num_experts = 8, .k = 2}, rng);
    auto cache = gate.make_cache(32);
    auto weights = gate.make_output(32);
    const Matrix<double> pixels = uniform<double>(784, 32, rng, 0, 255);
    gate.forward(Context{}, pixels, weights, cache);
    DSelectKWatch watch(100);
    const auto news = watch.observe(0, gate.head(), gate.logits(cache, 32));
    REQUIRE(news.size() >= 1);
    CHECK(news[0].find("step 0: ") == 0);
    CHECK(news[0].find("% of the bits are saturated on the first batch") != std::string::npos);
    for (const std::string& text : watch.observe(1, gate.head(), gate.logits(cache, 32))) {
      CHECK(text.find("saturated") == std::string::npos);  // said once
    }

    gate.forward(Context{}, pixels / 255, weights, cache);
    DSelectKWatch scaled(100);
    CHECK(scaled.observe(0, gate.head(), gate.logits(cache, 32)).empty());
  }
}

TEST_CASE("dselect-k watch: frozen early, unreachable, twins") {
  const HeadD head({.num_experts = 5, .k = 2, .gamma = 1});
  const auto start = column(head, {{0.1, -0.1, 0}, {0, 0.1, -0.1}});
  auto second = [&](const Vector<double>& z, std::int64_t step) {
    DSelectKWatch watch(100);
    REQUIRE(watch.observe(0, head, start).empty());
    const auto news = watch.observe(step, head, z);
    return news.empty() ? std::string() : news[0];
  };
  const auto chosen = column(head, {{0.6, -0.6, -0.7}, {-0.6, 0.6, -0.6}});
  CHECK(second(chosen, 99).find("step 99: every bit is frozen before step 100") == 0);
  CHECK(second(chosen, 100).empty());
  CHECK(second(column(head, {{0.6, 0.1, 0.7}, {0.6, 0.6, 0.6}}), 100)
            .find("50 % of the selectors are frozen on a code without expert") !=
        std::string::npos);
  CHECK(second(column(head, {{0.1, 0.2, 0.3}, {0.1, 0.2, 0.3}}), 100)
            .find("100 % of the columns have two selectors that train from equal bits") !=
        std::string::npos);
}

TEST_CASE("dselect-k report: selectors that share an expert for good are no twins") {
  const HeadD head({.num_experts = 8, .k = 4});
  Vector<double> w = Vector<double>::Zero(8);
  w[2] = w[5] = 0.5;
  for (double margin : {0.0, 0.02}) {
    const Vector<double> frozen = dselect_k_logits(head, w, margin);
    CHECK(report(head, frozen).twins == 0);
    CHECK(DSelectKWatch(10).observe(100, head, frozen).empty());
  }
  HeadD hardened = head;
  const Vector<double> fractional = dselect_k_logits(head, w, -0.5);
  CHECK(report(head, fractional).twins == 1);
  hardened.harden();
  CHECK(report(hardened, fractional).twins == 0);
}

TEST_CASE("dselect-k report: text") {
  const HeadD head({.num_experts = 5, .k = 2});
  CHECK(describe(report(head, column(head, {{0.6, -0.6, 0.7}, {0.2, 0.3, -0.7}}))) ==
        "1 columns: 4.000 experts on average, 4 at most; 2.000 distinct codes\n"
        "  bits that are binary: 66.667 %\n"
        "  selectors frozen on a code without expert: 50.000 %\n"
        "  columns with twin selectors: 0.000 %\n");
  CHECK(describe(report(head, column(head, {{0.6, -0.6, -0.7}, {0.7, 0.8, -0.7}})))
            .find("binary: 100.000 %, converged\n") != std::string::npos);
}

TEST_CASE("dselect-k report: logits of another head") {
  const HeadD head({.num_experts = 4, .k = 2});
  CHECK_THROWS_WITH(report(head, Matrix<double>::Zero(5, 1)),
                    "DSelect-k report: rows of the logits: expected 6, got 5");
}

}  // namespace selgate
