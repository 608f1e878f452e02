// SPDX-License-Identifier: MIT
#pragma once

#include "experiment.hpp"
#include "instructions.hpp"
#include "progress.hpp"

#include <selgate/gate/dselect_k_import.hpp>
#include <selgate/gate/dselect_k_report.hpp>
#include <selgate/gate/gate.hpp>
#include <selgate/metric/accuracy.hpp>
#include <selgate/mixture/multi_gate.hpp>
#include <selgate/optim/adam.hpp>
#include <selgate/optim/schedule.hpp>
#include <selgate/train/trainer.hpp>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <iostream>
#include <numeric>

namespace selgate::examples {

/// Trains one model and measures it on the test set. Every gate sees the same batches.
template <class Model>
class Run {
  using Gates = std::remove_cvref_t<decltype(Model::body.gates)>;
  using Head = std::remove_cvref_t<decltype(std::declval<Gates>().head())>;
  static constexpr bool is_dselect_k = std::same_as<Head, DSelectKHead<float>>;

 public:
  Run(std::string gate, Model model, const TaskData& data, const RunOptions& options,
      Executor& executor)
      : gate_(std::move(gate)),
        data_(data),
        options_(options),
        steps_per_epoch_(std::max<Index>(1, data.num_train / options.batch)),
        trainer_(std::move(model), AdamOptions{.learning_rate = options.learning_rate},
                 options.batch, mix_key(options.seed, 4)),
        x_(data.features, options.batch),
        labels_(static_cast<Index>(data.tasks.size()), options.batch) {
    trainer_.context.executor = &executor;
    result_.gate = gate_;
    result_.history.resize(data.tasks.size());
  }

  GateResult operator()() {
    const auto start = std::chrono::steady_clock::now();
    std::printf("\n%s, %s gates, %lld parameters, %lld steps\n", gate_.c_str(),
                Gates::is_static ? "static" : "per-example",
                static_cast<long long>(num_parameters(trainer_.model)),
                static_cast<long long>(num_steps()));
    std::fflush(stdout);
    {
      Progress progress(std::cout, progress_options(STDOUT_FILENO, options_.quiet),
                        options_.epochs);
      for (Index epoch = 0; epoch < options_.epochs; ++epoch) train_epoch(epoch, progress);
    }
    if constexpr (is_dselect_k) {
      std::printf("%s at the end, %s", gate_.c_str(), describe(watch_.last()).c_str());
    }
    result_.seconds =
        std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    result_.training_flops = static_cast<double>(trainer_.flops());
    if (!options_.instructions.empty()) {
      for (double step : result_.cost.steps) {
        const std::string name = gate_ + " " + to_text(static_cast<std::int64_t>(step));
        const auto count = options_.instructions.find(name);
        require(count != options_.instructions.end(), "--instructions",
                "a line of each counted step", "none of " + name);
        result_.cost.instructions.push_back(count->second);
      }
    }
    test();
    return std::move(result_);
  }

 private:
  [[nodiscard]] std::int64_t num_steps() const { return steps_per_epoch_ * options_.epochs; }
  [[nodiscard]] Index num_tasks() const { return static_cast<Index>(data_.tasks.size()); }

  void train_epoch(Index epoch, Progress& progress) {
    Rng order_rng(mix_key(mix_key(options_.seed, 3), static_cast<std::uint64_t>(epoch)));
    const std::vector<Index> order = order_rng.permutation(data_.num_train);
    double loss = 0;
    Index last_batch = 0;
    for (Index i = 0; i < steps_per_epoch_; ++i) {
      const auto first = static_cast<std::size_t>(i * options_.batch);
      const std::span<const Index> examples(
          order.data() + first,
          std::min(order.size() - first, static_cast<std::size_t>(options_.batch)));
      const auto batch = last_batch = static_cast<Index>(examples.size());
      auto x = x_.leftCols(batch);
      auto labels = labels_.leftCols(batch);
      data_.fill(Split::train, examples, x, labels);
      schedule();
      if (static_cast<std::int64_t>(trainer_.context.step) % record_every() == 0)
        record(x, progress);
      loss += step(x, {labels});
      const double done = static_cast<double>(epoch) +
                          static_cast<double>(i + 1) / static_cast<double>(steps_per_epoch_);
      if (i + 1 < steps_per_epoch_)
        progress.update(done, fields(loss / static_cast<double>(i + 1)));
    }
    if (epoch + 1 == options_.epochs) record(x_.leftCols(last_batch), progress);
    progress.epoch(epoch + 1, fields(loss / static_cast<double>(steps_per_epoch_)));
  }

  /// One training step and what it cost. Returns the objective before it.
  double step(const In<float>& x, const Labels<float>& labels) {
    using Clock = std::chrono::steady_clock;
    const auto number = static_cast<std::int64_t>(trainer_.context.step), flops = trainer_.flops();
    const std::string name = gate_ + " " + to_text(number);
    const bool recorded = (number + 1) % std::max<std::int64_t>(1, num_steps() / 25) == 0;
    double objective = 0;
    const auto start = Clock::now();
    count_instructions(recorded, name, [&] { objective = trainer_.step(x, labels).total; });
    step_seconds_.push_back(std::chrono::duration<double>(Clock::now() - start).count());
    if (recorded) {
      const auto middle =
          step_seconds_.begin() + static_cast<std::ptrdiff_t>(step_seconds_.size() / 2);
      std::nth_element(step_seconds_.begin(), middle, step_seconds_.end());
      result_.cost.steps.push_back(static_cast<double>(number));
      result_.cost.seconds.push_back(*middle);
      result_.cost.flops.push_back(static_cast<double>(trainer_.flops() - flops));
      step_seconds_.clear();
    }
    return objective;
  }

  [[nodiscard]] std::vector<Progress::Field> fields(double loss) const {
    std::vector<Progress::Field> all = {{"objective", fixed(loss, 4)}};
    const auto& [weights, tasks, is_static] =
        trainer_.model.body.task_weights(trainer_.cache().body);
    all.emplace_back("experts", fixed(mean_support(weights), 2));
    if constexpr (is_dselect_k) all.emplace_back("binary bits", percent(watch_.last().binary_bits));
    all.emplace_back("GFLOP", fixed(static_cast<double>(trainer_.flops()) * 1e-9, 1));
    return all;
  }
  static double mean_support(const GateOutput<float>& weights) {
    return static_cast<double>((weights.dense().array() != 0.0f).count()) /
           static_cast<double>(weights.num_columns());
  }

  /// Before each step: the entropy weight ramps up, and a gate may be rounded.
  void schedule() {
    const auto step = trainer_.context.step;
    auto at = [&](double share) {
      return static_cast<std::uint64_t>(share * static_cast<double>(num_steps()));
    };
    trainer_.context.entropy_factor =
        Schedule::linear(0, 1, at(options_.lambda_start), at(options_.lambda_end))(step);
    if constexpr (is_dselect_k && Gates::is_static) {
      if (options_.round_at < 1 && step == at(options_.round_at)) round_gates();
    }
  }
  /// Every task keeps its k largest weights, one selector each, frozen; the mix trains on. Adam
  /// starts afresh: its old momentum would move frozen bits back into the fractional band.
  void round_gates() {
    result_.rounded_at = static_cast<std::int64_t>(trainer_.context.step);
    const Matrix<float> weights = mean_weights(x_);
    const Head& head = trainer_.model.body.gates.head();
    std::vector<std::int32_t> kept(static_cast<std::size_t>(head.k()));
    for (Index t = 0; t < num_tasks(); ++t) {
      top_k(weights.col(t).data(), weights.rows(), head.k(), kept.data());
      Vector<float> rounded = Vector<float>::Zero(weights.rows());
      for (std::int32_t e : kept) rounded[e] = weights(e, t);
      rounded /= rounded.sum();
      set_weights(trainer_.model.body.gates, t, rounded, 0.02);
    }
    trainer_.optimizer = Adam(AdamOptions{.learning_rate = options_.learning_rate}, trainer_.model);
  }

  [[nodiscard]] std::int64_t record_every() const {
    return std::max<std::int64_t>(1, num_steps() / 100);
  }
  /// The tasks' weights for the picture, and the health of the gate: what is bad is said at once.
  void record(const In<float>& x, Progress& progress) {
    const Matrix<float> weights = mean_weights(x);
    const auto step = static_cast<std::int64_t>(trainer_.context.step);
    for (Index t = 0; t < num_tasks(); ++t) {
      WeightHistory& history = result_.history[static_cast<std::size_t>(t)];
      history.steps.push_back(static_cast<double>(step));
      history.weights.conservativeResize(weights.rows(), static_cast<Index>(history.steps.size()));
      history.weights.rightCols(1) = weights.col(t);
    }
    if constexpr (is_dselect_k) {
      const Gates& gates = trainer_.model.body.gates;
      for (const std::string& text :
           watch_.observe(step, gates.head(), gates.logits(gate_cache_, x.cols()))) {
        progress.finish();
        std::printf("warning: %s\n", text.c_str());
        std::fflush(stdout);
      }
    }
  }
  /// experts x tasks: the gates' weights, averaged over the examples.
  Matrix<float> mean_weights(const In<float>& x) {
    trainer_.model.body.gates.forward(Context{}, x, gate_output_, gate_cache_);
    return mean_weights(gate_output_);
  }
  [[nodiscard]] Matrix<float> mean_weights(const GateOutput<float>& output) const {
    const auto weights = output.dense();
    if (Gates::is_static) return weights;
    const auto examples = static_cast<float>(weights.cols() / num_tasks());
    Matrix<float> mean = Matrix<float>::Zero(weights.rows(), num_tasks());
    for (Index c = 0; c < weights.cols(); ++c) {
      mean.col(c % num_tasks()) += weights.col(c) / examples;
    }
    return mean;
  }

  void test() {
    std::vector<Accuracy<float>> accuracy(data_.tasks.size());
    std::vector<double> squared(data_.tasks.size(), 0.0);
    std::vector<Index> examples;
    double support = 0, columns = 0, binary = 0, logits_columns = 0;
    result_.weights = Matrix<float>::Zero(options_.num_experts, num_tasks());
    for (Index first = 0; first < data_.num_test; first += options_.batch) {
      const Index batch = std::min(options_.batch, data_.num_test - first);
      examples.resize(static_cast<std::size_t>(batch));
      std::iota(examples.begin(), examples.end(), first);
      auto x = x_.leftCols(batch);
      auto labels = labels_.leftCols(batch);
      data_.fill(Split::test, examples, x, labels);
      trainer_.predict(x);
      for (Index t = 0; t < num_tasks(); ++t) {
        const auto at = static_cast<std::size_t>(t);
        const auto prediction = trainer_.model.prediction(trainer_.cache(), t);
        if (data_.measure == Measure::accuracy) {
          accuracy[at].add(prediction, labels.row(t), all_labelled<float>());
        } else {
          squared[at] += (prediction - labels.row(t)).template cast<double>().squaredNorm();
        }
      }
      const auto& body = trainer_.cache().body;  // what predict left there
      const GateReport used = report(body.weights);
      support += used.mean_support * static_cast<double>(used.columns);
      columns += static_cast<double>(used.columns);
      result_.most_experts = std::max(result_.most_experts, used.max_support);
      result_.weights += mean_weights(body.weights) * static_cast<float>(batch) /
                         static_cast<float>(data_.num_test);
      if constexpr (is_dselect_k) {
        const Gates& gates = trainer_.model.body.gates;
        const DSelectKReport r = report<float>(gates.head(), gates.logits(body.gate, batch));
        binary += r.binary_bits * static_cast<double>(r.columns);
        logits_columns += static_cast<double>(r.columns);
      }
    }
    result_.mean_experts = support / columns;
    if constexpr (is_dselect_k) {
      result_.binary_bits = binary / logits_columns;
      if (watch_.frozen_since() >= 0) result_.binary_since = watch_.frozen_since();
    }
    for (std::size_t t = 0; t < data_.tasks.size(); ++t) {
      result_.scores.push_back(data_.measure == Measure::accuracy
                                   ? accuracy[t].value().value()
                                   : squared[t] / static_cast<double>(data_.num_test));
    }
  }

  std::string gate_;
  const TaskData& data_;
  const RunOptions& options_;
  Index steps_per_epoch_;
  Trainer<Model, Adam<Model>> trainer_;
  typename Gates::Cache gate_cache_ = trainer_.model.body.gates.make_cache(options_.batch);
  GateOutput<float> gate_output_ = trainer_.model.body.gates.make_output(options_.batch);
  DSelectKWatch watch_{std::max<std::int64_t>(10, num_steps() / 50)};
  Matrix<float> x_, labels_;
  std::vector<double> step_seconds_;  // since the last recorded step
  GateResult result_;
};

/// Runs every gate of the options in turn. Experiment makes the model around a gate bank:
/// experiment.model(gates, rng).
template <class Experiment>
std::vector<GateResult> run_gates(const Experiment& experiment, const TaskData& data,
                                  const RunOptions& options) {
  Executor executor(options.threads);
  std::vector<GateResult> results;
  const Index tasks = static_cast<Index>(data.tasks.size());
  auto run = [&](const std::string& name, auto head, const auto& head_options) {
    auto on = [&]<class Map>(std::type_identity<Map>) {
      Rng gate_rng(mix_key(options.seed, 1)), expert_rng(mix_key(options.seed, 2));
      GateBank<Map, typename decltype(head)::type> gates(head_options, tasks, gate_rng);
      auto model = experiment.model(std::move(gates), expert_rng);
      results.push_back(Run(name, std::move(model), data, options, executor)());
    };
    if (options.per_example) {
      on(std::type_identity<Dense<float>>{});
    } else {
      on(std::type_identity<StaticMap<float>>{});
    }
  };
  const Index p = data.features, n = options.num_experts;
  for (const std::string& gate : options.gates) {
    if (gate == "dselect-k") {
      run(gate, std::type_identity<DSelectKHead<float>>{},
          DSelectKOptions{.in_features = p,
                          .num_experts = n,
                          .k = options.k,
                          .gamma = options.gamma,
                          .entropy_weight = options.lambda,
                          .penalty_weight = options.xi});
    } else if (gate == "top-k") {
      run(gate, std::type_identity<TopKHead<float>>{},
          TopKOptions{.in_features = p, .num_experts = n, .k = options.k});
    } else if (gate == "softmax") {
      run(gate, std::type_identity<SoftmaxHead<float>>{},
          SoftmaxOptions{.in_features = p, .num_experts = n});
    } else {
      require(false, "--gates", "dselect-k, top-k or softmax", gate);
    }
  }
  return results;
}

}  // namespace selgate::examples
