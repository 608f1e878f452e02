// SPDX-License-Identifier: MIT
#pragma once

#include <selgate/core/types.hpp>
#include <selgate/math/kernel/lanes.hpp>

namespace selgate {

enum class Activation { identity, relu };

namespace detail {
/// value where y, or a lane of it, is positive or NaN, else +0.
template <class E>
E where_positive(const E& y, const E& value) {
  return y <= kernel::scalar_of<E>(0) ? E{} : value;
}
/// to(i) = from(i) where y(i) is positive or NaN, else +0; to may be y or from. In packs: g++ -O2
/// leaves a branch for each entry, and half the time of a training step goes to wrong guesses.
template <class S>
void select_positive(const S* y, const S* from, Index size, S* to) {
  using L = kernel::Lanes<S>;
  Index i = 0;
  for (; i + L::count <= size; i += L::count) {
    L::store(where_positive(L::load(y + i), L::load(from + i)), to + i);
  }
  for (; i < size; ++i) to[i] = where_positive(y[i], from[i]);
}
}  // namespace detail

/// y <- activation(y). ReLU writes +0 for everything that is not positive; NaN stays NaN.
template <class S>
void activate(Activation activation, Out<S> y) {
  if (activation == Activation::identity) return;
  for (Index b = 0; b < y.cols(); ++b) {
    S* at = y.col(b).data();
    detail::select_positive(at, at, y.rows(), at);
  }
}

/// dpre <- dy .* activation'(pre), read off the output: for ReLU the derivative is 1 where y != 0
/// (0 at the kink). dpre may be dy.
template <class S>
void activation_gradient(Activation activation, const In<S>& y, const In<S>& dy, Out<S> dpre) {
  if (activation == Activation::identity) {
    dpre = dy;
    return;
  }
  for (Index b = 0; b < y.cols(); ++b) {
    detail::select_positive(y.col(b).data(), dy.col(b).data(), y.rows(), dpre.col(b).data());
  }
}

}  // namespace selgate
