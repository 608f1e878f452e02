// SPDX-License-Identifier: MIT
#pragma once

#include <selgate/core/types.hpp>

namespace selgate {

enum class Activation { identity, relu };

/// y <- activation(y). ReLU writes +0 for everything that is not positive; NaN stays NaN.
template <class Derived>
void activate(Activation activation, Eigen::DenseBase<Derived>& y) {
  using S = typename Derived::Scalar;
  if (activation == Activation::identity) return;
  for (Index j = 0; j < y.cols(); ++j) {
    for (Index i = 0; i < y.rows(); ++i) y(i, j) = y(i, j) <= S(0) ? S(0) : y(i, j);
  }
}

/// dpre <- dy .* activation'(pre), read off the output: for ReLU the derivative is 1 where y != 0
/// (0 at the kink).
template <class Y, class DY, class DPre>
void activation_gradient(Activation activation, const Y& y, const DY& dy, DPre&& dpre) {
  using S = typename std::remove_cvref_t<DPre>::Scalar;
  for (Index j = 0; j < y.cols(); ++j) {
    for (Index i = 0; i < y.rows(); ++i) {
      dpre(i, j) = activation == Activation::identity || y(i, j) != S(0) ? dy(i, j) : S(0);
    }
  }
}

}  // namespace selgate
