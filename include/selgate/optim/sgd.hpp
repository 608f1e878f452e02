// SPDX-License-Identifier: MIT
#pragma once

#include <selgate/optim/elementwise.hpp>
#include <selgate/optim/optimizer.hpp>

#include <optional>

namespace selgate {

struct SgdOptions {
  double learning_rate = 0.01;             // in (0, 1e6]
  double momentum = 0;                     // in [0, 1); at 0 no velocity is kept
  Untouched untouched = Untouched::dense;  // of momentum; without it both are the same and free
};

/// Stochastic gradient descent, w -= rate * dw, or with momentum, as TensorFlow has it,
///   velocity = momentum * velocity - rate * dw,  w += velocity.
template <class M>
class Sgd {
 public:
  using Scalar = typename M::Scalar;

  /// Throws config_error on an option out of range.
  Sgd(const SgdOptions& options, const M& model) : options_(options), shapes_(model) {
    set_learning_rate(options.learning_rate);
    require_decay<Scalar>("SGD: momentum", options.momentum);
    if (options.momentum != 0) velocity_ = zeros_like(model);
  }

  [[nodiscard]] const SgdOptions& options() const { return options_; }
  [[nodiscard]] double learning_rate() const { return options_.learning_rate; }
  void set_learning_rate(double rate) {
    require_learning_rate<Scalar>("SGD", rate);
    options_.learning_rate = rate;
  }

  void step(M& model, const typename M::Gradient& gradient) {
    const Untouched untouched = velocity_ ? options_.untouched : Untouched::lazy;
    require_step(shapes_, untouched, model, gradient);
    const auto rate = Scalar(options_.learning_rate), momentum = Scalar(options_.momentum);
    if (velocity_) {
      auto roll = elementwise([rate, momentum](const auto& dw, auto w, auto velocity) {
        velocity = momentum * velocity - rate * dw;
        w += velocity;
      });
      for_each_stepped_leaf(untouched, roll, gradient, model, *velocity_);
    } else {
      auto descend = elementwise([rate](const auto& dw, auto w) { w -= rate * dw; });
      for_each_touched_leaf(descend, gradient, model);
    }
  }

  template <class F, class... O>
  static void visit(F&& f, O&... o) {
    if ((o.velocity_.has_value() && ...)) f("velocity", no_index, *o.velocity_...);
  }

 private:
  SgdOptions options_;
  BlockShapes shapes_;
  std::optional<M> velocity_;
};

}  // namespace selgate
