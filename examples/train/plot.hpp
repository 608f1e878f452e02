// SPDX-License-Identifier: MIT
#pragma once

#include "heat_map.hpp"
#include "line_plot.hpp"

#include <selgate/core/error.hpp>
#include <selgate/core/types.hpp>

#include <algorithm>
#include <numeric>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace selgate::examples {

/// Expert weights of one task's gate during training.
struct WeightHistory {
  std::vector<double> steps;
  Matrix<float> weights;  // experts x steps
};

/// What training steps cost, some 25 times over the training.
struct CostHistory {
  std::vector<double> steps;
  std::vector<double> seconds;       // of a step: the median since the time before
  std::vector<double> flops;         // counted, of the last of those steps
  std::vector<double> instructions;  // the same, where they were counted; else empty
};

/// Expert weights over training (figure C.5 of the paper): a row of panels for each gate, a column
/// for each task, a line for each expert. histories: gates x tasks, gate by gate. Throws
/// shape_error.
inline LinePlot expert_weight_plot(std::vector<std::string> gates, std::vector<std::string> tasks,
                                   std::span<const WeightHistory> histories) {
  require_size("expert_weight_plot: histories (gates x tasks)", gates.size() * tasks.size(),
               histories.size());
  LinePlot plot{.title = "Expert weights over training",
                .x_label = "training step",
                .y_label = "weight",
                .legend_title = "expert",
                .rows = std::move(gates),
                .columns = std::move(tasks),
                .panels = {},
                .y_range = {{0, 1}},
                .label_ends_above = 0.2};
  for (const WeightHistory& history : histories) {
    require_size("expert_weight_plot: columns of weights (steps)",
                 static_cast<Index>(history.steps.size()), history.weights.cols());
    auto& panel = plot.panels.emplace_back();
    for (Index e = 0; e < history.weights.rows(); ++e) {
      Series series{to_text(e), history.steps, {}};
      for (Index i = 0; i < history.weights.cols(); ++i) series.y.push_back(history.weights(e, i));
      panel.push_back(std::move(series));
    }
  }
  return plot;
}

/// The cost of a step over training, a line for each gate: a row of panels each for time, for
/// counted FLOPs and, where all have them, for instructions, in units of the mean over the training
/// with `unit`, one of the gates. Throws shape_error.
inline LinePlot cost_plot(const std::vector<std::string>& gates,
                          std::span<const CostHistory> histories, std::size_t unit) {
  require_size("cost_plot: histories (gates)", gates.size(), histories.size());
  LinePlot plot{.title = "Cost of a training step",
                .x_label = "training step",
                .y_label = "in units of " + gates.at(unit) + "'s mean",
                .rows = {},
                .panels = {}};
  double largest = 1;
  auto add = [&](const char* name, std::vector<double> CostHistory::*cost) {
    for (const CostHistory& history : histories) {
      if ((history.*cost).empty()) return;
    }
    const std::vector<double>& all = histories[unit].*cost;
    const double mean = std::accumulate(all.begin(), all.end(), 0.0) / double(all.size());
    plot.rows.emplace_back(name);
    auto& panel = plot.panels.emplace_back();
    for (std::size_t g = 0; g < gates.size(); ++g) {
      Series series{gates[g], histories[g].steps, histories[g].*cost};
      for (double& y : series.y) largest = (std::max)(largest, y /= mean);
      panel.push_back(std::move(series));
    }
  };
  add("time", &CostHistory::seconds);
  add("counted FLOPs", &CostHistory::flops);
  add("instructions", &CostHistory::instructions);
  plot.y_range = {{0, 1.05 * largest}};
  return plot;
}

/// The experts that each task uses, a row for each task. weights: experts x tasks; tasks: their
/// names, or none: numbers; group: that of each task, or none: a line is drawn where it changes.
/// Throws shape_error where there is not one for each task.
inline HeatMap expert_use_map(const In<float>& weights, std::vector<std::string> tasks,
                              std::span<const Index> group = {}) {
  HeatMap map{.title = "Experts that each task uses",
              .x_label = "expert",
              .y_label = tasks.empty() ? "task" : "",
              .values = weights.transpose(),
              .rows = std::move(tasks)};
  if (!group.empty()) {
    require_size("expert_use_map: groups (tasks)", weights.cols(),
                 static_cast<Index>(group.size()));
  }
  for (std::size_t t = 1; t < group.size(); ++t) {
    if (group[t] != group[t - 1]) map.breaks.push_back(static_cast<Index>(t));
  }
  return map;
}

}  // namespace selgate::examples
