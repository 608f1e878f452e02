// SPDX-License-Identifier: MIT
// What makes DSelect-k sub-linear: a per-example gate whose output is the list of selected experts,
// f of each selector's log2 n bits fractional, and the regularizer, both from a few experts to a
// million.

#include "gate_work.hpp"

#include <array>
#include <cmath>

namespace selgate::benchmarks::sparse_gates {
namespace {

constexpr Index num_features = 128, num_selectors = 2, batch_size = 256;

/// Every example has its own code, of which f bits, spread evenly, are fractional.
auto gate_with_fractional_bits(Index n, Index f, Rng& rng) {
  DSelectKGate<float> gate({.in_features = num_features,
                            .num_experts = n,
                            .k = num_selectors,
                            .gamma = 1,
                            .entropy_weight = 0.1,
                            .bias = false},
                           rng);
  const Index m = gate.head().num_bits();
  for (Index i = 0; i < num_selectors; ++i) {
    for (Index j = 0; j < m; ++j) {
      const bool fractional = j * f / m != (j + 1) * f / m;
      // z is normal with this deviation: a million widths of the step and it is binary for good.
      const double deviation = fractional ? 0.15 : 1e6;
      auto weights = gate.map().weight.col(num_selectors + i * m + j);
      fill_normal(weights, 0, deviation / std::sqrt(static_cast<double>(num_features)), rng);
    }
  }
  return gate;
}

/// Value and gradient for one selector with all bits fractional, as a head of n experts asks for
/// them: the penalty only where there are codes without an expert.
class RegularizerWork {
 public:
  explicit RegularizerWork(Index n) : n_(n), m_(num_bits(n)) {
    regularizer_ = {.entropy_weight = 0.1,
                    .penalty_weight = is_power_of_two(n) ? 0.0 : 1.0};
    Rng rng(1);
    for (SmoothStep<float>& bit : bits_) {
      bit = smooth_step(static_cast<float>(rng.uniform(-0.4, 0.4)), 1.0f);
    }
  }
  void operator()() {
    ds_.fill(0);
    benchmark::DoNotOptimize(regularizer_.value(n_, bits_.data(), m_));
    regularizer_.add_gradient(n_, bits_.data(), m_, 1.0, ds_.data());
    benchmark::DoNotOptimize(ds_.data());
  }

 private:
  Index n_;
  int m_;
  SelectorRegularizer regularizer_;
  std::array<SmoothStep<float>, 20> bits_;
  std::array<float, 20> ds_;
};

}  // namespace

void add_cases() {
  for (const int bits : {6, 10, 14, 17, 20}) {
    for (const Index f : {0, 2}) {
      for (const Passes passes : {Passes::forward, Passes::forward_backward}) {
        const Index n = Index{1} << bits;
        add_case(CaseName(std::string("gate_sparse_") + text(passes) + "_dselect")
                     .with("n", n)
                     .with("k", num_selectors)
                     .with("p", num_features)
                     .with("B", batch_size)
                     .with("f", f),
                 [=] {
                   Rng rng(1);
                   return GateWork(gate_with_fractional_bits(n, f, rng), num_features, batch_size,
                                   Storage::routing, passes, rng);
                 });
      }
    }
  }
  for (const Index n : {7, 8, (1 << 20) - 1, 1 << 20}) {
    add_case(CaseName("regularizer").with("n", n), [=] { return RegularizerWork(n); });
  }
}

}  // namespace selgate::benchmarks::sparse_gates
