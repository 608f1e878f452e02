// SPDX-License-Identifier: MIT
#pragma once

#include "plot.hpp"

#include <selgate/core/types.hpp>

#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace selgate::examples {

enum class Split { train, test };
enum class Measure { accuracy, mse };

/// The data of a multi-task experiment, whatever it is.
struct TaskData {
  Index features;
  std::vector<std::string> tasks;
  Measure measure;
  Index num_train, num_test;
  /// x (features x B) and labels (tasks x B) of the examples.
  std::function<void(Split, std::span<const Index>, Out<float>, Out<float>)> fill;
  std::vector<Index> group = {};  // of each task, where tasks come in groups
};

struct RunOptions {
  std::vector<std::string> gates = {"dselect-k", "top-k", "softmax"};
  bool per_example = false;
  Index num_experts = 8;
  Index k = 2;
  double gamma = 1;
  double lambda = 0.1;        // entropy weight
  double lambda_start = 0.3;  // share of the training before which lambda is 0
  double lambda_end = 0.7;    // and after which it is whole
  double round_at = 1;  // share of the training at which a static DSelect-k keeps its k largest
  double xi = 1;
  double learning_rate = 1e-3;
  Index batch = 64;
  Index epochs = 4;
  std::uint64_t seed = 1;
  int threads = 1;
  bool quiet = false;
  std::map<std::string, double> instructions;  // of steps named "gate number", or none
};

/// One row of the final table.
struct GateResult {
  std::string gate;
  std::vector<double> scores;       // per task: accuracy, or mean squared error
  double mean_experts = 0;          // per task and example, weights that are not exactly 0
  Index most_experts = 0;
  std::optional<double> binary_bits;  // DSelect-k alone
  std::optional<std::int64_t> binary_since;  // step
  std::optional<std::int64_t> rounded_at;  // step, where gates were rounded, not converged
  double training_flops = 0;
  double seconds = 0;
  std::vector<WeightHistory> history;  // per task
  CostHistory cost;
  Matrix<float> weights;               // experts x tasks at the end: mean over the test examples
};

/// Trains and tests every gate of the options in turn, on models of the paper's appendix D.2 or
/// C.2. Each is a translation unit of its own: they hold most of what there is to compile.
std::vector<GateResult> run_multi_fashion(const TaskData& data, const RunOptions& options);
std::vector<GateResult> run_synthetic(const TaskData& data, const RunOptions& options);

}  // namespace selgate::examples
