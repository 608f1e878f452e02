// SPDX-License-Identifier: MIT
#pragma once

#include <selgate/core/concepts.hpp>

namespace selgate {

/// y(0, b) = sum over i of x(i, b): a head without parameters. Features are added in their order,
/// so an example has the same bits in every batch.
///
/// Backward: dx(i, b) += dy(0, b). Throws config_error for less than 1 feature.
template <class S>
class Sum {
 public:
  using Scalar = S;
  using Gradient = Empty;
  using Cache = Empty;

  explicit Sum(Index in_features) : in_features_(in_features) {
    require(in_features >= 1, "Sum: in_features", ">= 1", in_features);
  }

  [[nodiscard]] Index in_features() const { return in_features_; }
  [[nodiscard]] Index out_features() const { return 1; }

  Cache make_cache(Index) const { return {}; }
  Gradient make_gradient() const { return {}; }

  void forward(const Context&, const In<S>& x, Out<S> y, Cache&) const {
    require_forward_shapes(*this, "Sum", x, y);
    y = x.row(0);
    for (Index b = 0; b < x.cols(); ++b) {
      for (Index i = 1; i < in_features_; ++i) y(0, b) += x(i, b);
    }
  }

  void backward(const Context&, const In<S>& x, const In<S>& y, const In<S>& dy, Out<S> dx,
                Gradient&, Cache&) const {
    require_backward_shapes(*this, "Sum", x, y, dy, dx);
    if (wanted(dx)) dx.rowwise() += dy.row(0);
  }

  double regularization(const Context&, const Cache&) const { return 0; }

  [[nodiscard]] Flops flops(Index columns, const Cache&) const {
    return {.forward = (in_features_ - 1) * columns, .input_gradient = in_features_ * columns};
  }

  template <class F, class... M>
  static void visit(F&&, M&...) {}

 private:
  Index in_features_;
};

}  // namespace selgate
