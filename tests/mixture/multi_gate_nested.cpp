// SPDX-License-Identifier: MIT
#include <selgate/mixture/multi_gate.hpp>

#include <selgate/gate/gate.hpp>
#include <selgate/mixture/dense_bank.hpp>
#include <selgate/mixture/list_bank.hpp>
#include <selgate/testing/mixture_laws.hpp>

#include "catch.hpp"

using namespace selgate;

TEST_CASE("mixture: laws where each expert is a mixture itself") {
  const TopKOrder order = GENERATE(TopKOrder::softmax_of_kept, TopKOrder::kept_of_softmax);
  const LawReport report = check_mixture(
      [&](auto scalar, Rng& rng, Storage storage) {
        using S = decltype(scalar);
        using Inner = MultiGateMixture<DenseBank<S>, StaticDSelectKGate<S>>;
        ListBank<Inner> experts(5, [&] {
          return Inner(DenseBank<S>({.in_features = 4, .out_features = 3, .num_experts = 2}, rng),
                       StaticDSelectKGate<S>({.num_experts = 2, .entropy_weight = 0.01}, rng),
                       storage);
        });
        using Gates = TopKGate<S>;
        return MultiGateMixture<ListBank<Inner>, Gates>(
            std::move(experts),
            Gates({.in_features = 4, .num_experts = 5, .k = 1, .order = order}, rng), storage);
      },
      {.layer = {.batch = 4, .max_coordinates = 100}, .min_inactive = 1});
  INFO(report.failures());
  CHECK(report.ok());
}
