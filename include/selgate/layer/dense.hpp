// SPDX-License-Identifier: MIT
#pragma once

#include <selgate/core/concepts.hpp>
#include <selgate/math/activation.hpp>
#include <selgate/math/product.hpp>

#include <cmath>

namespace selgate {

struct DenseOptions {
  Index in_features = 0;   // >= 1
  Index out_features = 0;  // >= 1
  bool bias = true;
  Activation activation = Activation::identity;
  SumOrder order = SumOrder::fastest;  // fixed: an example has the same bits in any batch
};

/// y = activation(W' x + b),  W: in x out, b: out.
///
/// Backward, with dpre = dy .* activation'(y):
///   dW += x dpre',  db += dpre 1,  dx += W dpre.
///
/// Weights start Glorot-uniform, U(+-sqrt(6 / (in + out))), biases at zero (TensorFlow's defaults).
/// In a file `weight` (out, in) and `bias` (out): PyTorch's nn.Linear, byte for byte.
/// Throws config_error on a size below 1, or a weight of more entries than an Index counts.
template <class S>
class Dense {
 public:
  using Scalar = S;
  using Gradient = Dense;
  struct Cache {
    Matrix<S> dpre;  // out x max_batch, scratch of backward
  };

  Dense(const DenseOptions& options, Rng& rng) : Dense(options) {
    const double range =
        std::sqrt(6.0 / static_cast<double>(options.in_features + options.out_features));
    fill_uniform(weight, -range, range, rng);
  }

  [[nodiscard]] const DenseOptions& options() const { return options_; }
  [[nodiscard]] Index in_features() const { return options_.in_features; }
  [[nodiscard]] Index out_features() const { return options_.out_features; }

  Cache make_cache(Index max_batch) const {
    require_countable("Dense: outputs of a batch", out_features(), max_batch);
    return {Matrix<S>(out_features(), max_batch)};
  }
  Gradient make_gradient() const { return Dense(options_); }

  void forward(const Context&, const In<S>& x, Out<S> y, Cache& cache) const {
    require_forward_shapes(*this, "Dense", x, y);
    require_room(cache, x.cols());
    forward_product<S>(weight, bias, x, y, options_.order);
    activate<S>(options_.activation, y);
  }

  void backward(const Context&, const In<S>& x, const In<S>& y, const In<S>& dy, Out<S> dx,
                Gradient& gradient, Cache& cache) const {
    require_backward_shapes(*this, "Dense", x, y, dy, dx);
    require_room(cache, x.cols());
    require_gradient("Dense: weight", weight, gradient.weight);
    require_gradient("Dense: bias", bias, gradient.bias);
    auto add = [&](const In<S>& dpre) {
      weight_gradient_product<S>(x, dpre, gradient.weight);
      if (options_.bias) {
        for (Index b = 0; b < dpre.cols(); ++b) gradient.bias += dpre.col(b);
      }
      if (wanted(dx)) input_gradient_product<S>(weight, dpre, dx, options_.order);
    };
    if (options_.activation == Activation::identity) {
      add(dy);
    } else {
      auto dpre = cache.dpre.leftCols(dy.cols());
      activation_gradient<S>(options_.activation, y, dy, dpre);
      add(dpre);
    }
  }

  double regularization(const Context&, const Cache&) const { return 0; }

  [[nodiscard]] Flops flops(Index columns, const Cache&) const {
    const std::int64_t product = 2 * in_features() * out_features() * columns;
    const std::int64_t biases = options_.bias ? out_features() * columns : 0;
    return {.forward = product,  // sums start at the bias
            .backward = product + biases,
            .input_gradient = product};
  }

  template <class F, class... M>
  static void visit(F&& f, M&... m) {
    f("weight", no_index, leaf(m.weight)...);
    if ((m.options_.bias && ...)) f("bias", no_index, leaf(m.bias)...);
  }

  Matrix<S> weight;  // in x out
  Vector<S> bias;    // out, or empty

 private:
  template <class>
  friend class Dense;

  void require_room(const Cache& cache, Index batch) const {
    require_cache("Dense", "out_features", out_features(), cache.dpre.rows());
    require_capacity("Dense", cache.dpre.cols(), batch);
  }
  explicit Dense(const DenseOptions& options) : options_(options) {
    require(options.in_features >= 1, "Dense: in_features", ">= 1", options.in_features);
    require(options.out_features >= 1, "Dense: out_features", ">= 1", options.out_features);
    require_countable("Dense: weight", options.in_features, options.out_features);
    weight = Matrix<S>::Zero(options.in_features, options.out_features);
    bias = Vector<S>::Zero(options.bias ? options.out_features : 0);
  }

  DenseOptions options_;
};

}  // namespace selgate
