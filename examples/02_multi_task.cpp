// SPDX-License-Identifier: MIT
// Two tasks on shared experts, trained until every gate has chosen: a regression and a
// classification that need different inputs.

#include <selgate/selgate.hpp>

#include <cmath>
#include <iostream>

int main() {
  using namespace selgate;
  const Index features = 8, experts = 8, batch = 128;
  Rng rng(1);

  // 8 dense experts, one static DSelect-k gate a task, one linear tower a task.
  DenseBank<float> bank({.in_features = features, .out_features = 16, .num_experts = experts}, rng);
  GateBank<StaticMap<float>, DSelectKHead<float>> gates(
      {.num_experts = experts, .k = 2, .gamma = 0.5, .entropy_weight = 0.05}, 2, rng);
  const Dense<float> tower({.in_features = 16, .out_features = 1}, rng);
  MultiTask model(MultiGateMixture(std::move(bank), std::move(gates)), std::vector{tower, tower},
                  {SquaredError<float>{}, BinaryCrossEntropy<float>{}}, {0.5, 0.5});

  Trainer<decltype(model), Adam<decltype(model)>> trainer(
      std::move(model), AdamOptions{.learning_rate = 5e-3}, batch, 1);
  Matrix<float> labels(2, batch);
  for (int step = 0; step <= 1000; ++step) {
    const auto x = uniform<float>(features, batch, rng);
    for (Index b = 0; b < batch; ++b) {
      labels(0, b) = std::abs(x(0, b)) + std::abs(x(1, b));
      labels(1, b) = x(2, b) * x(3, b) > 0 ? 1.0f : 0.0f;
    }
    const Objective& objective = trainer.step(x, {labels});
    if (step % 200 == 0) {
      const auto& body = trainer.cache().body;
      std::cout << "step " << step << ": squared error " << objective.losses[0]
                << ", cross-entropy " << objective.losses[1] << ", experts run "
                << body.dispatch.num_active() << " of " << experts << '\n';
    }
  }
  const auto& weights = trainer.cache().body.weights;
  std::cout << "\nregression: " << describe(report(weights, 0, 2)) << "\nclassification: "
            << describe(report(weights, 1, 2));
}
