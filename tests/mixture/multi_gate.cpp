// SPDX-License-Identifier: MIT
#include <selgate/mixture/multi_gate.hpp>

#include <selgate/gate/gate.hpp>
#include <selgate/mixture/dense_bank.hpp>
#include <selgate/testing/mixture_laws.hpp>

#include "catch.hpp"

using namespace selgate;

namespace {

template <class S>
using Mixture = MultiGateMixture<DenseBank<S>, GateBank<Dense<S>, DSelectKHead<S>>>;

template <class S>
Mixture<S> make_mixture(Index n, Index tasks, double gamma, SpareCodes spare_codes, Rng& rng,
                        Storage storage) {
  return {DenseBank<S>({.in_features = 4, .out_features = 3, .num_experts = n}, rng),
          GateBank<Dense<S>, DSelectKHead<S>>({.in_features = 4,
                                               .num_experts = n,
                                               .k = std::min<Index>(2, n),
                                               .gamma = gamma,
                                               .entropy_weight = 0.01,
                                               .penalty_weight = 0.01,
                                               .spare_codes = spare_codes},
                                              tasks, rng),
          storage};
}

}  // namespace

TEST_CASE("mixture: laws with per-example DSelect-k gates") {
  const Index n = GENERATE(1, 4, 6), tasks = GENERATE(1, 3);
  // From bits that are all fractional to nearly all binary.
  const double gamma = GENERATE(4.0, 0.5, 0.05);
  const LawReport report = check_mixture(
      [&](auto scalar, Rng& rng, Storage storage) {
        return make_mixture<decltype(scalar)>(n, tasks, gamma, SpareCodes::fold, rng, storage);
      },
      {.layer = {.batch = 6,
                 .parameter_noise = 0.3,
                 .difference_tolerance = 1e-7,
                 .max_coordinates = 100}});
  INFO("n = " << n << ", tasks = " << tasks << ", gamma = " << gamma << "\n" << report.failures());
  CHECK(report.ok());
}

TEST_CASE("mixture: laws where experts are skipped") {
  const LawReport report = check_mixture(
      [&](auto scalar, Rng& rng, Storage storage) {
        return make_mixture<decltype(scalar)>(16, 1, 0.05, SpareCodes::fold, rng, storage);
      },
      {.layer = {.batch = 2, .parameter_noise = 0.3, .max_coordinates = 50}, .min_inactive = 8});
  INFO(report.failures());
  CHECK(report.ok());
}
