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
Mixture<S> make_mixture(Index n, Index tasks, double gamma, Rng& rng, Storage storage) {
  return {DenseBank<S>({.in_features = 4, .out_features = 3, .num_experts = n}, rng),
          GateBank<Dense<S>, DSelectKHead<S>>({.in_features = 4,
                                               .num_experts = n,
                                               .k = std::min<Index>(2, n),
                                               .gamma = gamma,
                                               .entropy_weight = 0.01,
                                               .spare_codes = SpareCodes::fold},
                                              tasks, rng),
          storage};
}
LawReport check(Index n, Index tasks, double gamma, const MixtureLawOptions& options) {
  return check_mixture(
      [&](auto scalar, Rng& rng, Storage storage) {
        return make_mixture<decltype(scalar)>(n, tasks, gamma, rng, storage);
      },
      options);
}

}  // namespace

TEST_CASE("mixture: laws with per-example DSelect-k gates") {
  const Index n = GENERATE(1, 4, 6), tasks = GENERATE(1, 3);
  // From bits that are all fractional to nearly all binary.
  const double gamma = GENERATE(4.0, 0.5, 0.05);
  const LawReport report = check(n, tasks, gamma,
                                 {.layer = {.batch = 6,
                                            .parameter_noise = 0.3,
                                            .difference_tolerance = gamma < 0.1 ? 1e-7 : 1e-8,
                                            .max_coordinates = 100}});
  INFO("n = " << n << ", tasks = " << tasks << ", gamma = " << gamma << "\n" << report.failures());
  CHECK(report.ok());
}

TEST_CASE("mixture: laws of a batch that is cut into blocks") {
  const LawReport report =
      check(5, 2, 0.5, {.layer = {.batch = 130, .parameter_noise = 0.3, .max_coordinates = 20}});
  INFO(report.failures());
  CHECK(report.ok());
}

TEST_CASE("mixture: laws where experts are skipped") {
  const LawReport report = check(
      16, 1, 0.05,
      {.layer = {.batch = 2, .parameter_noise = 0.3, .max_coordinates = 50}, .min_inactive = 8});
  INFO(report.failures());
  CHECK(report.ok());
}
