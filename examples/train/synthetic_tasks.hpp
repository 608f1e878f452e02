// SPDX-License-Identifier: MIT
#pragma once

#include "experiment.hpp"
#include "synthetic.hpp"

#include <memory>

namespace selgate::examples {

/// The tasks of `make_synthetic_tasks` as an experiment.
inline TaskData synthetic_data(const SyntheticOptions& options) {
  auto data = std::make_shared<const SyntheticTasks>(make_synthetic_tasks(options));
  TaskData task_data{.features = options.in_features,
                     .tasks = {},
                     .measure = Measure::mse,
                     .num_train = options.num_train,
                     .num_test = options.num_test,
                     .fill =
                         [data](Split split, std::span<const Index> examples, Out<float> x,
                                Out<float> labels) {
                           const Examples& set = split == Split::train ? data->train : data->test;
                           for (Index b = 0; b < x.cols(); ++b) {
                             const Index example = examples[static_cast<std::size_t>(b)];
                             x.col(b) = set.x.col(example);
                             labels.col(b) = set.targets.col(example);
                           }
                         },
                     .group = data->group};
  for (Index t = 0; t < options.num_tasks; ++t) task_data.tasks.push_back("task " + to_text(t));
  return task_data;
}

}  // namespace selgate::examples
