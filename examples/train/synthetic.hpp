// SPDX-License-Identifier: MIT
#pragma once

#include <selgate/core/error.hpp>
#include <selgate/core/random.hpp>
#include <selgate/core/types.hpp>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <iterator>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace selgate::examples {

/// What the paper's "four groups" of tasks are; its text allows both, and only the first gives as
/// many generating experts as it says the model has, num_tasks / 4.
enum class Grouping {
  equal,     // every group has 16 tasks and 4 experts: 1, 2, 4, 8 groups for 16, 32, 64, 128 tasks
  doubling,  // groups of 16, 16, 32, 64 tasks, with 4 experts each
};

struct SyntheticOptions {
  Index num_tasks = 128;  // 16 times a power of two
  Grouping grouping = Grouping::equal;
  Index num_train = 100'000;      // >= 1
  Index num_validation = 20'000;  // >= 1
  Index num_test = 20'000;        // >= 1
  Index in_features = 10;         // >= 1
  Index experts_per_group = 4;    // >= 1
  Index units_per_expert = 4;     // >= 1
  double correlation = 0.8;       // between tasks of a group, in [0, 1]
  std::uint64_t seed = 0;
};

struct Examples {
  Matrix<float> x;        // features x examples
  Matrix<float> targets;  // tasks x examples
};

struct SyntheticTasks {
  Examples train, validation, test;
  std::vector<Index> group;     // of each task
  Matrix<double> task_weights;  // experts_per_group x tasks: on the experts of the task's group
  Matrix<double> unit_weights;  // in_features x units, group by group, expert by expert
  Index num_experts;            // of all groups together
};

/// Regression tasks that share experts by groups (DSelect-k paper, appendix C.2). In each group
///
///   f_i(x) = sum over units u of relu(w_iu' x),      w_iu ~ N(0, I), no bias,
///   y_t(x) = sum over experts i of the group of softmax(alpha_t)_i f_i(x),      x ~ N(0, I),
///   alpha_ti = sqrt(c) s_i + sqrt(1 - c) e_ti,       s, e ~ N(0, 1),
///
/// so that for each expert the tasks' alpha are N(0, 1) with correlation c. No noise, no scaling;
/// all tasks see the same x. The softmax, the unit variance and the missing bias are our reading of
/// what the paper leaves open. A task's labels then have a mean near 5 and a variance near 6.
///
/// Groups, and the x of train, validation and test, have a random stream each: data of 32 tasks
/// begins with the 16 of the same seed, and a longer set begins with a shorter one.
///
/// Throws config_error on an option out of range.
inline SyntheticTasks make_synthetic_tasks(const SyntheticOptions& options) {
  const Index base = 16;
  const auto positive = [](Index value, const char* name) {
    require(value >= 1, std::string("SyntheticOptions: ") + name, ">= 1", value);
  };
  const Index num_bases = options.num_tasks / base;
  require(num_bases >= 1 && options.num_tasks % base == 0 && (num_bases & (num_bases - 1)) == 0,
          "SyntheticOptions: num_tasks", "16, 32, 64, 128, ...", options.num_tasks);
  positive(options.num_train, "num_train");
  positive(options.num_validation, "num_validation");
  positive(options.num_test, "num_test");
  positive(options.in_features, "in_features");
  positive(options.experts_per_group, "experts_per_group");
  positive(options.units_per_expert, "units_per_expert");
  require(0 <= options.correlation && options.correlation <= 1, "SyntheticOptions: correlation",
          "in [0, 1]", options.correlation);

  SyntheticTasks data;
  data.task_weights.resize(options.experts_per_group, options.num_tasks);
  const Index sizes[] = {options.num_train, options.num_validation, options.num_test};
  Examples* const splits[] = {&data.train, &data.validation, &data.test};
  for (std::size_t s = 0; s < 3; ++s) {
    Rng rng(mix_key(options.seed, s));
    splits[s]->x.resize(options.in_features, sizes[s]);
    fill_normal(splits[s]->x, 0, 1, rng);
    splits[s]->targets.resize(options.num_tasks, sizes[s]);
  }

  const Index units_per_group = options.experts_per_group * options.units_per_expert;
  Index num_groups = 0;
  for (Index first = 0, size = base; first < options.num_tasks; ++num_groups) {
    Rng rng(mix_key(options.seed, 3 + static_cast<std::uint64_t>(num_groups)));
    data.unit_weights.conservativeResize(options.in_features, (num_groups + 1) * units_per_group);
    auto unit_weights = data.unit_weights.rightCols(units_per_group);
    fill_normal(unit_weights, 0, 1, rng);

    const double common = std::sqrt(options.correlation), own = std::sqrt(1 - options.correlation);
    Vector<double> shared(options.experts_per_group);
    fill_normal(shared, 0, 1, rng);
    auto weights = data.task_weights.middleCols(first, size);
    fill_normal(weights, 0, own, rng);
    weights.colwise() += common * shared;
    weights = weights.array().exp();
    weights.array().rowwise() /= weights.colwise().sum().array().eval();

    for (Examples* split : splits) {
      const Matrix<double> units =
          (unit_weights.transpose() * split->x.cast<double>()).cwiseMax(0.0);
      Matrix<double> experts(options.experts_per_group, units.cols());
      for (Index i = 0; i < options.experts_per_group; ++i) {
        experts.row(i) = units.middleRows(i * options.units_per_expert, options.units_per_expert)
                             .colwise()
                             .sum();
      }
      split->targets.middleRows(first, size) = (weights.transpose() * experts).cast<float>();
    }
    data.group.insert(data.group.end(), static_cast<std::size_t>(size), num_groups);
    first += size;
    if (options.grouping == Grouping::doubling) size = first;
  }
  data.num_experts = num_groups * options.experts_per_group;
  return data;
}

/// The experts whose weight in a task's column is above the threshold, ascending: one set per
/// column of weights (experts x tasks).
inline std::vector<std::vector<Index>> selected_experts(const In<float>& weights,
                                                        float threshold = 1e-3f) {
  std::vector<std::vector<Index>> selected(static_cast<std::size_t>(weights.cols()));
  for (Index t = 0; t < weights.cols(); ++t) {
    for (Index e = 0; e < weights.rows(); ++e) {
      if (weights(e, t) > threshold) selected[static_cast<std::size_t>(t)].push_back(e);
    }
  }
  return selected;
}

/// Jaccard index |a and b| / |a or b| of two ascending sets; 1 where both are empty.
inline double jaccard(std::span<const Index> a, std::span<const Index> b) {
  std::vector<Index> common;
  std::set_intersection(a.begin(), a.end(), b.begin(), b.end(), std::back_inserter(common));
  const std::size_t all = a.size() + b.size() - common.size();
  return all == 0 ? 1 : static_cast<double>(common.size()) / static_cast<double>(all);
}

/// Means over pairs of tasks; nothing where there is no such pair.
struct MeanJaccard {
  std::optional<double> related, unrelated;
};
/// How alike are the experts that tasks selected: `related` for pairs of one group, `unrelated` for
/// pairs of two (figure C.4 of the paper). Throws shape_error unless there is one set per task.
inline MeanJaccard mean_jaccard(std::span<const std::vector<Index>> selected,
                                std::span<const Index> group) {
  require_size("mean_jaccard: number of sets (tasks)", group.size(), selected.size());
  double sum[2] = {0, 0};
  Index pairs[2] = {0, 0};
  for (std::size_t a = 0; a < selected.size(); ++a) {
    for (std::size_t b = 0; b < a; ++b) {
      const bool related = group[a] == group[b];
      sum[related] += jaccard(selected[a], selected[b]);
      ++pairs[related];
    }
  }
  auto mean = [&](bool related) -> std::optional<double> {
    if (pairs[related] == 0) return std::nullopt;
    return sum[related] / static_cast<double>(pairs[related]);
  };
  return {.related = mean(true), .unrelated = mean(false)};
}

}  // namespace selgate::examples
