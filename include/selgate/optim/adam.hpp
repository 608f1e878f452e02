// SPDX-License-Identifier: MIT
#pragma once

#include <selgate/optim/elementwise.hpp>
#include <selgate/optim/optimizer.hpp>

#include <cmath>
#include <cstdint>

namespace selgate {

struct AdamOptions {
  double learning_rate = 1e-3;  // in (0, 1e6]
  double beta1 = 0.9;           // in [0, 1)
  double beta2 = 0.999;         // in [0, 1)
  double epsilon = 1e-7;        // in (0, 1]
  Untouched untouched = Untouched::dense;
};

/// Adam (Kingma and Ba, 2015) as TensorFlow 2 has it, with its defaults. In step t = 1, 2, ...
///   m = beta1 m + (1 - beta1) dw,  v = beta2 v + (1 - beta2) dw^2,
///   w -= rate * sqrt(1 - beta2^t) / (1 - beta1^t) * m / (sqrt(v) + epsilon).
/// That is the form before section 2.1 of the paper, where epsilon stands outside the correction of
/// v; the paper's Algorithm 1 (and PyTorch) divides by sqrt(v / (1 - beta2^t)) + epsilon, so an
/// epsilon here acts as one of epsilon / sqrt(1 - beta2^t) there.
template <class M>
class Adam {
 public:
  using Scalar = typename M::Scalar;

  /// Throws config_error on an option out of range.
  Adam(const AdamOptions& options, const M& model)
      : options_(options), shapes_(model), m_(zeros_like(model)), v_(m_) {
    set_learning_rate(options.learning_rate);
    require_decay<Scalar>("Adam: beta1", options.beta1);
    require_decay<Scalar>("Adam: beta2", options.beta2);
    require_epsilon<Scalar>("Adam", options.epsilon);
  }

  [[nodiscard]] const AdamOptions& options() const { return options_; }
  [[nodiscard]] double learning_rate() const { return options_.learning_rate; }
  void set_learning_rate(double rate) {
    require_learning_rate<Scalar>("Adam", rate);
    options_.learning_rate = rate;
  }
  /// Steps taken: with the moments that visit shows, all of the state. One clock for all blocks.
  [[nodiscard]] std::int64_t time() const { return time_; }
  void set_time(std::int64_t steps) {
    require(steps >= 0, "Adam: time", ">= 0 steps", steps);
    time_ = steps;
  }

  void step(M& model, const typename M::Gradient& gradient) {
    require_step(shapes_, options_.untouched, model, gradient);
    const auto t = static_cast<double>(++time_);
    const double correction =
        std::sqrt(1 - std::pow(options_.beta2, t)) / (1 - std::pow(options_.beta1, t));
    const auto rate = Scalar(options_.learning_rate * correction);
    const auto epsilon = Scalar(options_.epsilon);
    const auto beta1 = Scalar(options_.beta1), rest1 = Scalar(1 - options_.beta1);
    const auto beta2 = Scalar(options_.beta2), rest2 = Scalar(1 - options_.beta2);
    auto descend = elementwise([=](const auto& dw, auto w, auto m, auto v) {
      m = beta1 * m + rest1 * dw;
      v = beta2 * v + rest2 * dw.square();
      w -= rate * m / (v.sqrt() + epsilon);
    });
    for_each_stepped_leaf(options_.untouched, descend, gradient, model, m_, v_);
  }

  template <class F, class... O>
  static void visit(F&& f, O&... o) {
    f("m", no_index, o.m_...);
    f("v", no_index, o.v_...);
  }

 private:
  AdamOptions options_;
  BlockShapes shapes_;
  M m_;
  M v_;
  std::int64_t time_ = 0;
};

}  // namespace selgate
