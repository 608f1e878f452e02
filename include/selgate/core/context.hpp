// SPDX-License-Identifier: MIT
#pragma once

#include <selgate/core/executor.hpp>
#include <selgate/core/random.hpp>

#include <cstddef>
#include <cstdint>
#include <span>

namespace selgate {

enum class Mode { train, eval };

/// First argument of every pass: all that is not data, parameter or cache.
struct Context {
  Mode mode = Mode::eval;
  /// Random numbers are a function of (seed, step, module, example, unit) and of nothing else.
  std::uint64_t seed = 0;
  std::uint64_t step = 0;
  /// What one example weighs in the objective: 1/B for a mean over the batch, also inside an expert
  /// that sees only some of the columns.
  double example_weight = 1;
  /// Schedules: these multiply the base values in the options.
  double entropy_factor = 1;
  double penalty_factor = 1;
  Executor* executor = nullptr;
  /// The example that each column is, where a pass sees a selection; empty: column c is example c.
  std::span<const Index> examples = {};

  [[nodiscard]] bool training() const { return mode == Mode::train; }
  [[nodiscard]] Index example(Index column) const {
    return examples.empty() ? column : examples[static_cast<std::size_t>(column)];
  }
  /// The key under which a module draws philox(key, example(column), ...): by the example, never by
  /// the column. `module` tells layers apart.
  [[nodiscard]] std::uint64_t random_key(std::uint64_t module) const {
    return mix_key(mix_key(seed, module), step);
  }
};

/// A training context over a batch: the objective is the mean over its examples (0 of none).
inline Context training(Index batch, std::uint64_t seed = 0, std::uint64_t step = 0) {
  return {.mode = Mode::train,
          .seed = seed,
          .step = step,
          .example_weight = batch == 0 ? 0 : 1.0 / static_cast<double>(batch)};
}

}  // namespace selgate
