// SPDX-License-Identifier: MIT
#include "synthetic_tasks.hpp"

#include "run.hpp"

#include <selgate/layer/sum.hpp>
#include <selgate/mixture/dense_bank.hpp>

namespace selgate::examples {
namespace {

/// The synthetic experiment of the paper (appendix C.2): regression tasks that share experts of four
/// ReLU units, a static gate a task. An expert's output is the sum of its units, so the sum is taken
/// once a task, after the mixture, as a tower without parameters.
struct SumsOfUnits {
  Index in_features, num_experts, num_tasks;
  Index units = 4;

  template <class Gates>
  auto model(Gates gates, Rng& rng) const {
    DenseBank<float> experts({.in_features = in_features, .out_features = units,
                              .num_experts = num_experts, .bias = false}, rng);
    fill_normal(experts.weight, 0, 1, rng);
    const auto tasks = static_cast<std::size_t>(num_tasks);
    MultiGateMixture body(std::move(experts), std::move(gates));
    return MultiTask(std::move(body), std::vector<Sum<float>>(tasks, Sum<float>(units)),
                     std::vector<Loss<float>>(tasks, SquaredError<float>{}),
                     std::vector<double>(tasks, 1.0));
  }
};

}  // namespace

std::vector<GateResult> run_synthetic(const TaskData& data, const RunOptions& options) {
  return run_gates(SumsOfUnits{data.features, options.num_experts, static_cast<Index>(data.tasks.size())},
                   data, options);
}

}  // namespace selgate::examples
