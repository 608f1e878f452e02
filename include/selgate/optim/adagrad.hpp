// SPDX-License-Identifier: MIT
#pragma once

#include <selgate/optim/elementwise.hpp>
#include <selgate/optim/optimizer.hpp>

namespace selgate {

struct AdagradOptions {
  double learning_rate = 1e-3;       // in (0, 1e6]
  double initial_accumulator = 0.1;  // in [0, 1e6]
  double epsilon = 1e-7;             // in (0, 1]
};

/// Adagrad (Duchi, Hazan and Singer, 2011) as TensorFlow 2 has it, with its defaults:
///   a += dw^2,  w -= rate * dw / (sqrt(a) + epsilon),  a = initial_accumulator at first.
/// A gradient of 0 changes nothing, so stepping the touched blocks alone is exact.
template <class M>
class Adagrad {
 public:
  using Scalar = typename M::Scalar;

  /// Throws config_error on an option out of range.
  Adagrad(const AdagradOptions& options, const M& model)
      : options_(options), shapes_(model), accumulator_(model) {
    set_learning_rate(options.learning_rate);
    require(options.initial_accumulator >= 0 && options.initial_accumulator <= 1e6,
            "Adagrad: initial_accumulator", "in [0, 1e6]", options.initial_accumulator);
    require_epsilon<Scalar>("Adagrad", options.epsilon);
    const auto initial = Scalar(options.initial_accumulator);
    for_each_leaf([&](const auto& leaf) { leaf.array().setConstant(initial); }, accumulator_);
  }

  [[nodiscard]] const AdagradOptions& options() const { return options_; }
  [[nodiscard]] double learning_rate() const { return options_.learning_rate; }
  void set_learning_rate(double rate) {
    require_learning_rate<Scalar>("Adagrad", rate);
    options_.learning_rate = rate;
  }

  void step(M& model, const typename M::Gradient& gradient) {
    require_step(shapes_, Untouched::lazy, model, gradient);
    const auto rate = Scalar(options_.learning_rate), epsilon = Scalar(options_.epsilon);
    auto descend = elementwise([rate, epsilon](const auto& dw, auto w, auto a) {
      a += dw.square();
      w -= rate * dw / (a.sqrt() + epsilon);
    });
    for_each_touched_leaf(descend, gradient, model, accumulator_);
  }

  template <class F, class... O>
  static void visit(F&& f, O&... o) {
    f("accumulator", no_index, o.accumulator_...);
  }

 private:
  AdagradOptions options_;
  BlockShapes shapes_;
  M accumulator_;
};

}  // namespace selgate
