// SPDX-License-Identifier: MIT
#pragma once

#include "check_gate.hpp"

#include <selgate/layer/sequential.hpp>
#include <selgate/mixture/dense_bank.hpp>
#include <selgate/mixture/multi_gate.hpp>
#include <selgate/mixture/multi_task.hpp>

#include <limits>
#include <utility>
#include <variant>

namespace selgate::examples {

template <class Map, class Head, class S = typename Head::Scalar>
using ReferenceModel =
    MultiTask<MultiGateMixture<DenseBank<S>, GateBank<Map, Head>>, Sequential<Dense<S>, Dense<S>>>;

/// The size of a hidden layer. An array of the file must be as long, so that nothing is allocated
/// for a size that only the options claim.
inline Index read_units(const JsonField& file, const char* option, const char* bias) {
  const Index units =
      file.at("options").at(option).integer(1, std::numeric_limits<std::int32_t>::max());
  file.at("params").at(bias).require_length(units);
  return units;
}

inline std::vector<double> read_task_weights(const JsonField& field, Index num_tasks) {
  field.require_length(num_tasks);
  std::vector<double> weights;
  double sum = 0;
  for (Index t = 0; t < num_tasks; ++t) sum += weights.emplace_back(field.item(t).not_negative());
  if (!(sum > 0)) field.refuse("a weight > 0 among them");
  return weights;
}

/// Dense ReLU experts, a gate a task, and towers of a dense ReLU layer and one linear unit.
template <class Map, class Head>
ReferenceModel<Map, Head> read_model(const JsonField& file, Index in_features, Storage storage) {
  using S = typename Head::Scalar;
  const JsonField options = file.at("options"), params = file.at("params");
  const Index num_tasks = options.at("losses").length();
  const Index units = read_units(file, "units", "expert0.bias");
  const Index tower_units = read_units(file, "tower_units", "tower0.0.bias");
  Rng rng;
  std::vector<Loss<S>> losses;
  std::vector<Sequential<Dense<S>, Dense<S>>> towers;
  for (Index t = 0; t < num_tasks; ++t) {
    losses.push_back(read_loss<S>(options.at("losses").item(t)));
    towers.emplace_back(
        Dense<S>(
            {.in_features = units, .out_features = tower_units, .activation = Activation::relu},
            rng),
        Dense<S>({.in_features = tower_units, .out_features = 1}, rng));
  }
  DenseBank<S> experts(
      {.in_features = in_features, .out_features = units, .num_experts = read_num_experts(options)},
      rng);
  GateBank<Map, Head> gates(head_options<Head>(options, in_features), num_tasks, rng);
  ReferenceModel<Map, Head> model({std::move(experts), std::move(gates), storage},
                                  std::move(towers), std::move(losses),
                                  read_task_weights(options.at("task_weights"), num_tasks));
  const auto leaves = named_leaves<S>(model);
  read_parameters(params, "", leaves);
  require_known_names(params, leaves);
  match_bit_order<Head>(options, model.body.gates);
  return model;
}

/// Targets, tasks x examples; those of a cross-entropy are probabilities.
template <class S>
Matrix<S> read_targets(const JsonField& file, Index num_tasks, Index batch) {
  Matrix<S> targets(num_tasks, batch);
  file.at("targets").require_length(num_tasks);
  for (Index t = 0; t < num_tasks; ++t) {
    const JsonField row = file.at("targets").item(t);
    row.require_length(batch);
    const Loss<S> loss = read_loss<S>(file.at("options").at("losses").item(t));
    const bool is_probability = std::holds_alternative<BinaryCrossEntropy<S>>(loss);
    for (Index b = 0; b < batch; ++b) {
      const JsonField target = row.item(b);
      targets(t, b) = static_cast<S>(is_probability ? target.probability() : target.number());
    }
  }
  return targets;
}

/// A file of a whole multi-gate model: every task's weights, predictions, loss and regularizers,
/// the objective and all of its gradients.
template <class Map, class Head>
void check_model(const JsonField& file, Storage storage, CaseResult& result) {
  using S = typename Head::Scalar;
  constexpr bool is_static = GateBank<Map, Head>::is_static;
  const JsonField options = file.at("options");
  const Matrix<S> x = read_examples<S>(file.at("x"));
  const Index n = read_num_experts(options), batch = x.cols();
  const Index num_tasks = options.at("losses").length();
  if (num_tasks == 0) options.at("losses").refuse("at least one loss");
  const std::vector<double> reference =
      file.at("weights").numbers(is_static ? Shape{num_tasks, n} : Shape{num_tasks, batch, n});
  const Matrix<S> targets = read_targets<S>(file, num_tasks, batch);
  const auto model = read_model<Map, Head>(file, x.rows(), storage);

  const Context context = training(batch);
  auto cache = model.make_cache(batch);
  auto gradient = model.make_gradient();
  Matrix<S> dx = Matrix<S>::Zero(x.rows(), batch);
  model.forward(context, x, cache);
  const Objective& objective = model.backward(context, x, {targets}, dx, gradient, cache);

  const Matrix<S> weights = cache.body.weights.to_dense();
  const auto task_size = static_cast<std::size_t>(is_static ? n : n * batch);
  result.compare("weights", reference, [&](std::size_t i) {
    const auto t = static_cast<Index>(i / task_size), at = static_cast<Index>(i % task_size);
    return weights(at % n, model.body.task_weights(cache.body).column(t, at / n));
  });
  std::vector<std::map<std::string, double>> of_gates;
  for (Index t = 0; t < num_tasks; ++t) {
    Gate<Map, Head> gate = read_gate<Map, Head>(file, "gate" + to_text(t) + ".", x.rows());
    of_gates.push_back(regularizers(gate, context, x));
  }
  compare_regularizers(file.at("regularizers"), {num_tasks}, of_gates, result);
  result.compare("predictions", file.at("predictions").numbers({num_tasks, batch}),
                 [&](std::size_t i) {
                   const auto at = static_cast<Index>(i);
                   return model.prediction(cache, at / batch)(0, at % batch);
                 });
  result.compare("losses", file.at("losses").numbers({num_tasks}),
                 [&](std::size_t t) { return objective.losses[t]; });
  result.compare("objective", file.at("objective").numbers({}),
                 [&](std::size_t) { return objective.total; });

  match_bit_order<Head>(options, gradient.body.gates);
  compare_gradients(file.at("gradients"), named_leaves<S>(gradient), dx, result);
}

}  // namespace selgate::examples
