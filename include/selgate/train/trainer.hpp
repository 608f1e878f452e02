// SPDX-License-Identifier: MIT
#pragma once

#include <selgate/mixture/multi_task.hpp>

namespace selgate {

/// One model in training: its gradient, cache, optimizer and clock. What a schedule moves (entropy
/// and penalty factors, the head's gamma or temperature, the learning rate) is set between steps.
template <class Model, class Optimizer>
class Trainer {
 public:
  using S = typename Model::Scalar;

  /// options: those of the optimizer.
  template <class Options>
  Trainer(Model trained, const Options& options, Index max_batch, std::uint64_t seed)
      : model(std::move(trained)),
        optimizer(options, model),
        gradient_(model.make_gradient()),
        cache_(model.make_cache(max_batch)) {
    context.mode = Mode::train;
    context.seed = seed;
  }

  /// One optimizer step on a batch. Returns the objective before it. On a throw (bad labels, a
  /// gradient that is not finite: numeric_error naming the block) the model is unchanged.
  const Objective& step(const In<S>& x, const Labels<S>& labels) {
    require<shape_error>(x.cols() >= 1, "training step: columns of x", ">= 1", x.cols());
    context.example_weight = 1.0 / static_cast<double>(x.cols());
    set_zero(gradient_);
    model.forward(context, x, cache_);
    const Objective& objective =
        model.backward(context, x, labels, not_wanted<S>(), gradient_, cache_);
    optimizer.step(model, gradient_);
    const Flops ran = model.flops(cache_);
    flops_ += ran.forward + ran.backward;
    ++context.step;
    return objective;
  }

  /// Predictions for a batch in evaluation mode; read them by model.prediction(cache(), t).
  void predict(const In<S>& x) {
    Context eval = context;
    eval.mode = Mode::eval;
    model.forward(eval, x, cache_);
  }

  [[nodiscard]] const typename Model::Cache& cache() const { return cache_; }
  /// Floating-point operations of all steps so far, forward and backward, as they ran.
  [[nodiscard]] std::int64_t flops() const { return flops_; }

  Model model;
  Optimizer optimizer;
  Context context;  // executor, seed, step and the schedules' factors

 private:
  typename Model::Gradient gradient_;
  typename Model::Cache cache_;
  std::int64_t flops_ = 0;
};

}  // namespace selgate
