// SPDX-License-Identifier: MIT
#include "synthetic_tasks.hpp"

#include "run.hpp"

#include <selgate/mixture/dense_bank.hpp>

namespace selgate::examples {
namespace {

/// The synthetic experiment of the paper (appendix C.2): regression tasks that share experts, each
/// the sum of four ReLU units, a static gate a task and no towers.
struct SumsOfUnits {
  Index in_features, num_experts, num_tasks;
  Index units = 4;

  template <class Gates>
  auto model(Gates gates, Rng& rng) const {
    DenseBank<float> experts({.in_features = in_features, .out_features = 1,
                              .num_experts = num_experts, .bias = false, .units_per_output = units},
                             rng);
    fill_normal(experts.weight, 0, 1, rng);
    const auto tasks = static_cast<std::size_t>(num_tasks);
    MultiGateMixture body(std::move(experts), std::move(gates));
    return MultiTask(std::move(body), std::vector<Loss<float>>(tasks, SquaredError<float>{}),
                     std::vector<double>(tasks, 1.0));
  }
};

}  // namespace

std::vector<GateResult> run_synthetic(const TaskData& data, const RunOptions& options) {
  return run_gates(
      SumsOfUnits{data.features, options.num_experts, static_cast<Index>(data.tasks.size())}, data,
      options);
}

}  // namespace selgate::examples
