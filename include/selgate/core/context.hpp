// SPDX-License-Identifier: MIT
#pragma once

#include <selgate/core/executor.hpp>
#include <selgate/core/random.hpp>

#include <array>
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
  /// Four random words for each of `unit`, unit + 1... unit + N - 1 of the example in this column,
  /// [word][unit]; `module` tells layers apart.
  template <std::size_t N>
  [[nodiscard]] std::array<std::array<std::uint32_t, N>, 4> random(std::uint64_t module,
                                                                   Index column, Index unit) const {
    return philox<N>(mix_key(mix_key(seed, module), step),
                     static_cast<std::uint64_t>(example(column)), static_cast<std::uint64_t>(unit));
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
