// SPDX-License-Identifier: MIT
#include <selgate/gate/gate.hpp>

#include <selgate/layer/sequential.hpp>
#include <selgate/testing/gate_laws.hpp>

#include "catch.hpp"

#include <string>
#include <vector>

using namespace selgate;

namespace {

std::string names(const auto& module) {
  std::string text;
  for_each_named_leaf([&](const std::string& path, const auto&) { text += path + " "; }, module);
  return text;
}

}  // namespace

TEST_CASE("gate: laws of a top-k gate on a small network") {
  const LawReport report = check_gate(
      [](auto scalar, Rng& rng) {
        using S = decltype(scalar);
        using Map = Sequential<Dense<S>, Dense<S>>;
        Map map(
            Dense<S>({.in_features = 4, .out_features = 7, .activation = Activation::relu}, rng),
            Dense<S>({.in_features = 7, .out_features = 5}, rng));
        return Gate<Map, TopKHead<S>>(std::move(map), TopKHead<S>({.num_experts = 5, .k = 2}));
      },
      {.layer = {.batch = 6, .parameter_noise = 0.3, .bit_equal_batches = true}, .max_support = 2});
  INFO(report.failures());
  CHECK(report.ok());
}

TEMPLATE_TEST_CASE("gate: names are those of a bank's task", "", float, double) {
  using S = TestType;
  Rng rng(1);
  CHECK(names(SoftmaxGate<S>({.in_features = 2, .num_experts = 3}, rng)) == "A b ");
  CHECK(names(StaticSoftmaxGate<S>({.num_experts = 3}, rng)) == "b ");
  CHECK(names(TopKGate<S>({.in_features = 2, .num_experts = 3}, rng)) == "A b ");
  CHECK(names(StaticTopKGate<S>({.num_experts = 3}, rng)) == "b ");
  const DSelectKGate<S> gate({.in_features = 2, .num_experts = 3}, rng);
  CHECK(names(gate) == "G G_bias W W_bias ");
  CHECK(names(gate.make_gradient()) == names(gate));
  CHECK(names(DSelectKGate<S>({.in_features = 2, .num_experts = 3, .bias = false}, rng)) == "G W ");
  CHECK(names(StaticDSelectKGate<S>({.num_experts = 3}, rng)) == "alpha Z ");
  CHECK(names(SoftmaxSelectorGate<S>({.in_features = 2, .num_experts = 3}, rng)) ==
        "G G_bias B B_bias ");
  CHECK(names(StaticSoftmaxSelectorGate<S>({.num_experts = 3}, rng)) == "alpha beta ");
  using Map = Sequential<Dense<S>>;
  CHECK(names(Gate<Map, SoftmaxHead<S>>(Map(Dense<S>({.in_features = 2, .out_features = 3}, rng)),
                                        SoftmaxHead<S>({.num_experts = 3}))) ==
        "map.0.weight map.0.bias ");
}
