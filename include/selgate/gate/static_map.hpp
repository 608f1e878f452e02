// SPDX-License-Identifier: MIT
#pragma once

#include <selgate/core/concepts.hpp>

namespace selgate {

/// The logit map of a static gate: the logits are parameters, one column a task, the same for every
/// example. Its table is handed to the head as it is; nothing is copied per example.
template <class S>
struct StaticMap {
  using Scalar = S;
  using Gradient = StaticMap;
  using Cache = Empty;

  StaticMap(Index num_logits, Index num_tasks) : table(Matrix<S>::Zero(num_logits, num_tasks)) {}

  Cache make_cache(Index) const { return {}; }
  Gradient make_gradient() const { return StaticMap(table.rows(), table.cols()); }

  template <class F, class... M>
  static void visit(F&& f, M&... m) {
    f("table", no_index, leaf(m.table)...);
  }

  Matrix<S> table;  // h x T
};

}  // namespace selgate
