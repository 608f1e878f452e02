// SPDX-License-Identifier: MIT
#pragma once

#include <selgate/core/types.hpp>

namespace selgate {

/// Where the vectors of some units lie that a mixture writes or reads, one for each task of each
/// example: in rows of a matrix, or a matrix a task, as a loss wants its predictions.
template <class S>
struct TaskVectors {
  S* data;
  Index num_tasks, batch;
  Index task_stride, example_stride;

  /// That of task t of example b.
  [[nodiscard]] S* at(Index t, Index b) const {
    return data + t * task_stride + b * example_stride;
  }
};

/// Task t in rows t u .. t u + u - 1 of y, an Out or an In.
template <class M>
auto rows_of_tasks(M& y, Index units) {
  using T = std::remove_pointer_t<decltype(y.data())>;
  return TaskVectors<T>{y.data(), y.rows() / units, y.cols(), units, y.outerStride()};
}

}  // namespace selgate
