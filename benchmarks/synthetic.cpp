// SPDX-License-Identifier: MIT
// The synthetic tasks of the DSelect-k paper (appendix C.2): T regressions on 10 features share T/4
// experts, each the sum of 4 ReLU units, by static gates with k = 4. Many tasks, little arithmetic.

#include "case.hpp"
#include "gate_kind.hpp"
#include "model_work.hpp"

#include <selgate/mixture/dense_bank.hpp>
#include <selgate/mixture/multi_gate.hpp>
#include <selgate/optim/adam.hpp>

namespace selgate::benchmarks::synthetic {
namespace {

constexpr Index features = 10, units = 4, k = 4, batch = 256;

template <class Head>
auto make_work(Index num_tasks, bool converged) {
  Rng rng(1);
  const Index num_experts = num_tasks / 4;
  GateBank<StaticMap<float>, Head> gates(Kind<Head>::options(0, num_experts, k), num_tasks, rng);
  if constexpr (std::same_as<Head, DSelectKHead<float>>) {
    for (Index t = 0; t < num_tasks && converged; ++t) {
      auto neighbour = [&](Index i) { return (t / 4 + i) % num_experts; };
      converge(gates, t, {neighbour(0), neighbour(1), neighbour(2), neighbour(3)});
    }
  }
  DenseBank<float> experts({.in_features = features,
                            .out_features = 1,
                            .num_experts = num_experts,
                            .units_per_output = units},
                           rng);
  const auto tasks = static_cast<std::size_t>(num_tasks);
  MultiTask model(MultiGateMixture(std::move(experts), std::move(gates)),
                  std::vector<Loss<float>>(tasks, SquaredError<float>{}),
                  std::vector<double>(tasks, 1.0 / static_cast<double>(num_tasks)));
  Matrix<float> x = normal_features(features, batch, rng);
  return train<Adam>(std::move(model), std::move(x), normal_features(num_tasks, batch, rng));
}

template <class Head>
CaseName case_name(Index num_tasks) {
  return CaseName("synthetic_train")
      .with("gate", Kind<Head>::name)
      .with("static", true)
      .with("T", num_tasks)
      .with("B", batch);
}

template <class Head>
void add_gate(Index num_tasks) {
  add_case(case_name<Head>(num_tasks), [=] { return make_work<Head>(num_tasks, false); });
}

}  // namespace

void add_cases() {
  for (const Index num_tasks : {16, 128}) {
    add_gate<SoftmaxHead<float>>(num_tasks);
    add_gate<TopKHead<float>>(num_tasks);
    add_gate<DSelectKHead<float>>(num_tasks);
    add_case(case_name<DSelectKHead<float>>(num_tasks).with("experts", k),
             [=] { return make_work<DSelectKHead<float>>(num_tasks, true); });
  }
}

}  // namespace selgate::benchmarks::synthetic
