// SPDX-License-Identifier: MIT
// The training step of movielens.cpp with static softmax gates, written out for this one model on
// raw arrays: the same products and the same order of loops, no layer, mixture, cache or optimizer.

#include "case.hpp"

#include <selgate/core/random.hpp>
#include <selgate/math/product.hpp>

#include <cmath>
#include <stdexcept>
#include <vector>

namespace selgate::benchmarks::by_hand {
namespace {

constexpr Index batch = 128, features = 128, experts = 8, units = 256, tasks = 2;
constexpr Index stack = experts * units;  // its columns lie a cache line further apart

using Map = Eigen::Map<Matrix<float>>;

/// Everything that is trained (or its gradient), in one array.
struct Parameters {
  Map weight, bias, gate;
  std::vector<Map> hidden, hidden_bias, last, last_bias;  // of the towers

  static constexpr Index size =
      features * stack + stack + experts * tasks + tasks * (units * units + 2 * units + 1);

  explicit Parameters(float* at)
      : weight(next(at, features, stack)),
        bias(next(at, stack, 1)),
        gate(next(at, experts, tasks)) {
    for (Index t = 0; t < tasks; ++t) {
      hidden.push_back(next(at, units, units));
      hidden_bias.push_back(next(at, units, 1));
      last.push_back(next(at, units, 1));
    }
    for (Index t = 0; t < tasks; ++t) last_bias.push_back(next(at, 1, 1));
  }

 private:
  static Map next(float*& at, Index rows, Index cols) {
    at += rows * cols;
    return {at - rows * cols, rows, cols};
  }
};

template <class X>
void relu(X&& x) {
  x = x.array().max(0.0f).matrix();
}
template <class Y, class DY>
void relu_gradient(const Y& y, DY&& dy) {
  dy = (y.array() != 0.0f).select(dy, 0.0f);
}

class ByHand {
 public:
  ByHand(Matrix<float> x, Matrix<float> labels) : x_(std::move(x)), labels_(std::move(labels)) {
    Rng rng(1);
    fill_uniform(theta_, -0.1, 0.1, rng);
  }

  void operator()() {
    gradient_.setZero();
    forward();
    backward();
    step();
  }

 private:
  void forward() {
    weights_ = p_.gate;
    for (Index t = 0; t < tasks; ++t) {
      weights_.col(t) = (p_.gate.col(t).array() - p_.gate.col(t).maxCoeff()).exp();
      weights_.col(t) /= weights_.col(t).sum();
    }
    for (Index e = 0; e < experts; ++e) {
      auto f = f_.middleRows(e * units, units);
      forward_product<float>(p_.weight.middleCols(e * units, units),
                             p_.bias.middleRows(e * units, units), x_, f);
      relu(f);
    }
    for (Index b = 0; b < batch; ++b) {
      for (Index t = 0; t < tasks; ++t) {
        auto y = y_.col(b).segment(t * units, units);
        y = weights_(0, t) * f_.col(b).head(units);
        for (Index e = 1; e < experts; ++e) {
          y += weights_(e, t) * f_.col(b).segment(e * units, units);
        }
      }
    }
    for (Index t = 0; t < tasks; ++t) {
      const auto at = static_cast<std::size_t>(t);
      Matrix<float>& h = h_[at];
      forward_product<float>(p_.hidden[at], p_.hidden_bias[at], y_.middleRows(t * units, units), h);
      relu(h);
      forward_product<float>(p_.last[at], p_.last_bias[at], h, z_[at]);
    }
  }

  /// 0.5 times the mean of the cross-entropy of task 0 and of the squared error of task 1.
  void objective_gradient() {
    for (Index b = 0; b < batch; ++b) {
      const float probability = 1.0f / (1.0f + std::exp(-z_[0](0, b)));
      dz_[0](0, b) = 0.5f / batch * (probability - labels_(0, b));
      dz_[1](0, b) = 1.0f / batch * (z_[1](0, b) - labels_(1, b));
    }
  }

  void backward() {
    objective_gradient();
    dy_.setZero();
    for (Index t = 0; t < tasks; ++t) {
      const auto at = static_cast<std::size_t>(t);
      weight_gradient_product<float>(h_[at], dz_[at], d_.last[at]);
      d_.last_bias[at](0) += dz_[at].sum();
      dh_.setZero();
      input_gradient_product<float>(p_.last[at], dz_[at], dh_);
      relu_gradient(h_[at], dh_);
      weight_gradient_product<float>(y_.middleRows(t * units, units), dh_, d_.hidden[at]);
      d_.hidden_bias[at] += dh_.rowwise().sum();
      input_gradient_product<float>(p_.hidden[at], dh_, dy_.middleRows(t * units, units));
    }
    dweights_.setZero();
    for (Index b = 0; b < batch; ++b) {
      for (Index e = 0; e < experts; ++e) {
        const auto f = f_.col(b).segment(e * units, units);
        auto df = df_.col(b).segment(e * units, units);
        df.setZero();
        for (Index t = 0; t < tasks; ++t) {
          const auto dy = dy_.col(b).segment(t * units, units);
          df += weights_(e, t) * dy;
          dweights_(e, t) += dy.dot(f);
        }
        relu_gradient(f, df);
        d_.bias.middleRows(e * units, units) += df;
      }
    }
    for (Index e = 0; e < experts; ++e) {
      weight_gradient_product<float>(x_, df_.middleRows(e * units, units),
                                     d_.weight.middleCols(e * units, units));
    }
    for (Index t = 0; t < tasks; ++t) {
      const float mean = weights_.col(t).dot(dweights_.col(t));
      d_.gate.col(t).array() += weights_.col(t).array() * (dweights_.col(t).array() - mean);
    }
  }

  /// Adagrad, in pieces that stay in registers.
  void step() {
    if ((gradient_.array().square() * 0.0f).sum() != 0.0f) throw std::runtime_error("not finite");
    constexpr Index piece = 32;
    using Piece = Eigen::Array<float, piece, 1>;
    for (Index i = 0; i + piece <= Parameters::size; i += piece) {
      const Eigen::Map<const Piece> g(gradient_.data() + i);
      Eigen::Map<Piece> w(theta_.data() + i), a(accumulator_.data() + i);
      a += g.square();
      w -= rate * g / (a.sqrt() + 1e-7f);
    }
    for (Index i = Parameters::size / piece * piece; i < Parameters::size; ++i) {
      accumulator_[i] += gradient_[i] * gradient_[i];
      theta_[i] -= rate * gradient_[i] / (std::sqrt(accumulator_[i]) + 1e-7f);
    }
  }

  static constexpr float rate = 1e-12f;
  Matrix<float> x_, labels_;
  Vector<float> theta_ = Vector<float>(Parameters::size), gradient_ = theta_,
                accumulator_ = Vector<float>::Constant(Parameters::size, 0.1f);
  Parameters p_{theta_.data()}, d_{gradient_.data()};
  Matrix<float> weights_ = Matrix<float>(experts, tasks), dweights_ = weights_;
  Vector<float> f_memory_ = Vector<float>((stack + 16) * batch), df_memory_ = f_memory_;
  View<float> f_{f_memory_.data(), stack, batch, Eigen::OuterStride<>(stack + 16)};
  View<float> df_{df_memory_.data(), stack, batch, Eigen::OuterStride<>(stack + 16)};
  Matrix<float> y_ = Matrix<float>(tasks * units, batch), dy_ = y_;
  Matrix<float> h_[tasks] = {Matrix<float>(units, batch), Matrix<float>(units, batch)};
  Matrix<float> dh_ = h_[0];
  Matrix<float> z_[tasks] = {Matrix<float>(1, batch), Matrix<float>(1, batch)};
  Matrix<float> dz_[tasks] = {Matrix<float>(1, batch), Matrix<float>(1, batch)};
};

}  // namespace

void add_cases() {
  add_case(CaseName("movielens_by_hand").with("B", batch), [] {
    Rng rng(2);
    Matrix<float> x(features, batch);
    fill_normal(x, 0, 1, rng);
    return ByHand(std::move(x), uniform<float>(tasks, batch, rng, 0, 1));
  });
}

}  // namespace selgate::benchmarks::by_hand
