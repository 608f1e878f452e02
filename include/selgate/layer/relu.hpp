// SPDX-License-Identifier: MIT
#pragma once

#include <selgate/core/concepts.hpp>
#include <selgate/math/activation.hpp>

namespace selgate {

/// y = max(x, 0), as a layer of its own; Dense and Conv2d have it built in.
///
/// Backward: dx += dy where y != 0. Throws config_error for less than 1 feature.
template <class S>
class Relu {
 public:
  using Scalar = S;
  using Gradient = Empty;
  using Cache = Empty;

  explicit Relu(Index features) : features_(features) {
    require(features >= 1, "Relu: features", ">= 1", features);
  }

  [[nodiscard]] Index in_features() const { return features_; }
  [[nodiscard]] Index out_features() const { return features_; }

  Cache make_cache(Index) const { return {}; }
  Gradient make_gradient() const { return {}; }

  void forward(const Context&, const In<S>& x, Out<S> y, Cache&) const {
    require_forward_shapes(*this, "Relu", x, y);
    y = x;
    activate<S>(Activation::relu, y);
  }

  void backward(const Context&, const In<S>& x, const In<S>& y, const In<S>& dy, Out<S> dx,
                Gradient&, Cache&) const {
    require_backward_shapes(*this, "Relu", x, y, dy, dx);
    if (!wanted(dx)) return;
    dx += dy.binaryExpr(y, [](const S& slope, const S& at) { return at != S(0) ? slope : S(0); });
  }

  double regularization(const Context&, const Cache&) const { return 0; }

  [[nodiscard]] Flops flops(Index columns, const Cache&) const {
    return {.input_gradient = features_ * columns};
  }

  template <class F, class... M>
  static void visit(F&&, M&...) {}

 private:
  Index features_;
};

}  // namespace selgate
