// SPDX-License-Identifier: MIT
#pragma once

#include <selgate/core/executor.hpp>
#include <selgate/mixture/dispatch.hpp>

#include <algorithm>

namespace selgate {

/// The weights of num_tasks gates as a mixture reads them: task t of example b is column b T + t, or
/// column t of a static bank.
template <class S>
struct TaskWeights {
  const GateOutput<S>& weights;
  Index num_tasks;
  bool is_static;
  [[nodiscard]] Index column(Index t, Index b) const { return is_static ? t : b * num_tasks + t; }
};

namespace detail {

/// Columns that one block of work covers: fixed by shape, whatever the threads.
inline constexpr Index columns_per_block = 64;

template <class Body>
void for_column_blocks(Executor* executor, Index columns, const Body& body) {
  const Index blocks = (columns + columns_per_block - 1) / columns_per_block;
  run_blocks(executor, blocks, [&](Index block) {
    const Index first = block * columns_per_block;
    body(first, std::min(columns, first + columns_per_block));
  });
}

/// body(j, b) for the columns j of an expert whose example b lies in [first, last).
template <class Body>
void for_each_example(const Dispatch& dispatch, Index rank, Index first, Index last, const Body& body) {
  if (dispatch.sees_all(rank)) {
    for (Index b = first; b < last; ++b) body(b, b);
  } else {
    const auto columns = dispatch.columns(rank);
    auto at = std::lower_bound(columns.begin(), columns.end(), first);
    for (; at != columns.end() && *at < last; ++at) body(at - columns.begin(), *at);
  }
}

}  // namespace detail

/// Y_t(:, b) = sum over active experts e of w_t(e, b) F_e(:, b), experts in ascending order.
/// y: (T u) x B, task t in rows t u .. t u + u - 1. Sets y; inactive experts are never read.
template <class S>
void combine(const Context& context, const Dispatch& dispatch, const TaskWeights<S>& w,
              ExpertBlocks<S>& outputs, Out<S> y) {
  const Index units = y.rows() / w.num_tasks;
  detail::for_column_blocks(context.executor, y.cols(), [&](Index first, Index last) {
    y.middleCols(first, last - first).setZero();
    for (Index rank = 0; rank < dispatch.num_active(); ++rank) {
      const auto f = outputs.block(dispatch, rank);
      detail::for_each_example(dispatch, rank, first, last, [&](Index j, Index b) {
        for (Index t = 0; t < w.num_tasks; ++t) {
          const S weight = w.weights.weight(dispatch.expert(rank), w.column(t, b));
          if (weight != S(0)) y.col(b).segment(t * units, units) += weight * f.col(j);
        }
      });
    }
  });
}

/// Backward of combine: sets dF_e(:, b) = sum_t w_t(e, b) dY_t(:, b) for the active experts, and adds
/// to dw_t(e, b), in the support alone, <dY_t(:, b), F_e(:, b)> (a static gate: summed over b).
template <class S>
void combine_backward(const Context& context, const Dispatch& dispatch, const TaskWeights<S>& w,
                      ExpertBlocks<S>& outputs, const In<S>& dy, ExpertBlocks<S>& doutputs,
                      GateOutput<S>& dweights) {
  const Index units = dy.rows() / w.num_tasks;
  run_blocks(context.executor, dispatch.num_active(), [&](Index rank) {
    const Index e = dispatch.expert(rank);
    const auto f = outputs.block(dispatch, rank);
    auto df = doutputs.block(dispatch, rank);
    df.setZero();
    detail::for_each_example(dispatch, rank, 0, dispatch.batch(), [&](Index j, Index b) {
      for (Index t = 0; t < w.num_tasks; ++t) {
        const Index c = w.column(t, b);
        const S weight = w.weights.weight(e, c);
        if (weight == S(0)) continue;
        const auto dy_t = dy.col(b).segment(t * units, units);
        df.col(j) += weight * dy_t;
        dweights.weight_ref(e, c) += dy_t.dot(f.col(j));
      }
    });
  });
}

/// Terms that combine adds up: pairs of a task and an expert in its support, over the examples.
template <class S>
Index num_terms(const Dispatch& dispatch, const TaskWeights<S>& w) {
  if (w.weights.storage() == Storage::routing) {
    return w.weights.routing().num_entries() * (w.is_static ? dispatch.batch() : 1);
  }
  const Index entries = static_cast<Index>((w.weights.dense().array() != S(0)).count());
  return entries * (w.is_static ? dispatch.batch() : 1);
}

}  // namespace selgate
