// SPDX-License-Identifier: MIT
#pragma once

#include <selgate/core/concepts.hpp>
#include <selgate/mixture/task_vectors.hpp>

#include <concepts>

namespace selgate {

/// What turns features into one representation a task: a MultiGateMixture or a SharedBottom. Task t
/// is in rows task_row(t) .. task_row(t) + task_features() - 1 of its output.
template <class B>
concept TaskBody = Layer<B> && requires(const B& body, Index t) {
  { body.num_tasks() } -> std::convertible_to<Index>;
  { body.task_features() } -> std::convertible_to<Index>;
  { body.task_row(t) } -> std::convertible_to<Index>;
};
/// One that puts them wherever they shall lie.
template <class B>
concept TaskVectorsBody = TaskBody<B> &&
    requires(const B& body, const Context& context, In<typename B::Scalar> x,
             TaskVectors<typename B::Scalar> y, TaskVectors<const typename B::Scalar> dy,
             Out<typename B::Scalar> dx, typename B::Gradient& gradient, typename B::Cache& cache) {
  body.forward(context, x, y, cache);
  body.backward(context, x, dy, dx, gradient, cache);
};

}  // namespace selgate
