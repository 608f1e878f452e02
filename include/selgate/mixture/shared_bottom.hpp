// SPDX-License-Identifier: MIT
#pragma once

#include <selgate/core/concepts.hpp>

namespace selgate {

/// The baseline of multi-task learning (Caruana, 1997): one layer, whose output is the
/// representation of every task.
template <Layer L>
class SharedBottom : public L {
 public:
  /// Throws config_error for num_tasks < 1.
  SharedBottom(L bottom, Index num_tasks) : L(std::move(bottom)), num_tasks_(num_tasks) {
    require(num_tasks >= 1, "shared bottom: num_tasks", ">= 1", num_tasks);
  }

  [[nodiscard]] Index num_tasks() const { return num_tasks_; }
  /// Features of a task's representation, and the row of y where it starts: the same for all tasks.
  [[nodiscard]] Index task_features() const { return this->out_features(); }
  [[nodiscard]] Index task_row(Index) const { return 0; }

 private:
  Index num_tasks_;
};

}  // namespace selgate
