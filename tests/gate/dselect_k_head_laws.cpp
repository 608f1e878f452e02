// SPDX-License-Identifier: MIT
#include <selgate/gate/dselect_k_head.hpp>

#include <selgate/testing/gate_laws.hpp>

#include "catch.hpp"

#include <cmath>

using namespace selgate;

namespace {

/// Where the bits of a column are.
enum class Regime {
  fractional,  // well inside
  mixed,       // anywhere: inside, at the edges and one float to either side of them, far outside
  binary       // at the edges and outside
};

/// Logits of `columns` columns; gamma is a power of two, so that the edges are floats.
Matrix<double> draw_logits(Regime regime, Index k, int m, double gamma, Index columns, Rng& rng) {
  const auto edge = static_cast<float>(gamma / 2);
  const float at_edges[] = {edge, std::nextafter(edge, 0.0f), std::nextafter(edge, 2 * edge)};
  auto draw_bit = [&] {
    const double sign = rng.below(2) == 0 ? -1 : 1;
    if (regime == Regime::binary) return sign * gamma * (rng.below(2) == 0 ? 0.5 : 0.8);
    if (regime == Regime::mixed && rng.below(2) == 0) {
      return sign * (rng.below(4) == 0 ? gamma : static_cast<double>(at_edges[rng.below(3)]));
    }
    return rng.uniform(-0.3, 0.3) * gamma;
  };
  Matrix<double> logits = uniform<double>(k + k * m, columns, rng);
  for (double& z : logits.bottomRows(k * m).reshaped()) z = draw_bit();
  return logits;
}

struct Variant {
  SpareCodes spare_codes;
  Entropy entropy;
  double gamma;
};
constexpr Variant variants[] = {{SpareCodes::penalty, Entropy::all_codes, 1},
                                {SpareCodes::fold, Entropy::reachable, 0.5},
                                {SpareCodes::random, Entropy::renormalised, 8},
                                {SpareCodes::renormalise, Entropy::all_codes, 1}};

}  // namespace

TEST_CASE("DSelect-k head: laws") {
  const Index n = GENERATE(range(1, 10), values({16, 17, 32, 33}));
  const Regime regime = GENERATE(Regime::fractional, Regime::mixed, Regime::binary);
  Rng rng(static_cast<std::uint64_t>(n));
  for (const Index k : {Index{1}, std::min<Index>(2, n), n}) {
    for (const Variant& variant : variants) {
      if (is_power_of_two(n) && &variant != variants) continue;  // no spare codes to differ in
      Matrix<double> logits = draw_logits(regime, k, num_bits(n), variant.gamma, 4, rng);
      if (variant.spare_codes == SpareCodes::renormalise && n > 1) {
        // The highest bit leans to 0, so that every selector has mass to renormalise.
        for (Index i = 1; i <= k; ++i) {
          auto highest = logits.row(k + i * num_bits(n) - 1);
          highest = -highest.cwiseAbs();
        }
      }
      // At an edge the second derivative jumps, which a quotient of differences sees to first
      // order; and each selector without an expert adds 1e4, whose rounding it divides by 1e-6.
      LayerLawOptions layer{.batch = 2, .max_coordinates = 60};
      if (regime != Regime::fractional) layer.difference_tolerance = 1e-3;
      // Keeps the objective near 1, so that differences of it lose few digits.
      const double per_selector = 1 / static_cast<double>(k);
      const LawReport report = check_head(
          [&](auto scalar, Rng&) {
            return DSelectKHead<decltype(scalar)>({.num_experts = n,
                                                   .k = k,
                                                   .gamma = variant.gamma,
                                                   .entropy_weight = 0.1 * per_selector,
                                                   .penalty_weight = 0.01 * per_selector,
                                                   .entropy = variant.entropy,
                                                   .spare_codes = variant.spare_codes});
          },
          {.logits = logits, .layer = layer, .max_support = regime == Regime::binary ? k : 0});
      INFO("n = " << n << ", k = " << k << ", variant " << &variant - variants << ", regime "
                  << static_cast<int>(regime) << "\n"
                  << report.failures());
      CHECK(report.ok());
    }
  }
}
