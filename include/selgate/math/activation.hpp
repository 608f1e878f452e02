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
  y = y.derived().unaryExpr([](const S& at) { return at <= S(0) ? S(0) : at; });
}

/// dpre <- dy .* activation'(pre), read off the output: for ReLU the derivative is 1 where y != 0
/// (0 at the kink). dpre may be dy.
template <class Y, class DY, class DPre>
void activation_gradient(Activation activation, const Y& y, const DY& dy, DPre&& dpre) {
  using S = typename std::remove_cvref_t<DPre>::Scalar;
  if (activation == Activation::identity) {
    dpre = dy;
  } else {
    dpre = y.binaryExpr(dy, [](const S& at, const S& d) { return at != S(0) ? d : S(0); });
  }
}

}  // namespace selgate
