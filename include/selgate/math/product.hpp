// SPDX-License-Identifier: MIT
#pragma once

#include <selgate/core/types.hpp>
#include <selgate/math/kernel/skinny_product.hpp>

#include <algorithm>
#include <concepts>

namespace selgate {

/// The three dense products of the library, behind one door. Weights W are in x out, activations
/// features x batch. float and double go to Eigen (or to whatever BLAS the user gave Eigen); up to
/// kernel::max_skinny outputs, and wherever a fixed order is asked for, they go to a kernel that
/// adds in one order per example, so that an example's logits do not depend on the batch around it.
/// Every other scalar (dual numbers, counting scalars, long double) takes the plain loops below.

/// In which order a product may add: `fixed` means the same for an example in any batch.
enum class SumOrder { fastest, fixed };

namespace detail {
template <class S>
inline constexpr bool has_fast_product = std::same_as<S, float> || std::same_as<S, double>;

/// body(first, count) for the outputs in blocks that the kernel for few outputs is good at.
template <class Body>
void for_output_blocks(Index outputs, const Body& body) {
  for (Index first = 0; first < outputs; first += kernel::max_skinny) {
    body(first, std::min(kernel::max_skinny, outputs - first));
  }
}

/// Whether at most one in 16 is not 0, as in the derivative by the logits of a gate that selects a
/// few of many experts: then the products below take those alone.
template <class S>
bool is_sparse(const In<S>& dy) {
  Index non_zeros = 0;
  for (Index b = 0; b < dy.cols() && 16 * non_zeros <= dy.size(); ++b) {
    const S* at = dy.col(b).data();
    for (Index o = 0; o < dy.rows(); ++o) non_zeros += at[o] != S(0) ? 1 : 0;
  }
  return 16 * non_zeros <= dy.size();
}
/// body(output, example), examples in order.
template <class S, class Body>
void for_each_non_zero(const In<S>& dy, const Body& body) {
  for (Index b = 0; b < dy.cols(); ++b) {
    const S* at = dy.col(b).data();
    for (Index o = 0; o < dy.rows(); ++o) {
      if (at[o] != S(0)) body(o, b);
    }
  }
}
}  // namespace detail

/// y = W' x + bias per output (bias may be empty). W: p x u, x: p x B.
template <class S>
void forward_product(const In<S>& w, const In<S>& bias, const In<S>& x, Out<S> y,
                     [[maybe_unused]] SumOrder order = SumOrder::fastest) {
  if constexpr (detail::has_fast_product<S>) {
    if (w.cols() <= kernel::max_skinny || order == SumOrder::fixed) {
      detail::for_output_blocks(w.cols(), [&](Index first, Index count) {
        const Index biases = bias.size() != 0 ? count : 0;
        kernel::skinny_forward<S>(w.middleCols(first, count),
                                  bias.middleRows(biases ? first : 0, biases), x,
                                  y.middleRows(first, count));
      });
    } else {
      // Sums start at the bias: Eigen adds a product to what is there, and would set that to 0.
      if (bias.size() != 0) {
        y.colwise() = bias.col(0);
      } else {
        y.setZero();
      }
      y.noalias() += w.transpose() * x;
    }
  } else {
    for (Index b = 0; b < x.cols(); ++b) {
      for (Index o = 0; o < w.cols(); ++o) {
        S sum = bias.size() != 0 ? S(bias(o, 0)) : S(0);
        for (Index i = 0; i < w.rows(); ++i) sum += w(i, o) * x(i, b);
        y(o, b) = sum;
      }
    }
  }
}

/// dx += W dy. W: p x u, dy: u x B, dx: p x B.
template <class S>
void input_gradient_product(const In<S>& w, const In<S>& dy, Out<S> dx,
                            [[maybe_unused]] SumOrder order = SumOrder::fastest) {
  if constexpr (detail::has_fast_product<S>) {
    if (w.cols() <= kernel::max_skinny || order == SumOrder::fixed) {
      detail::for_output_blocks(w.cols(), [&](Index first, Index count) {
        kernel::skinny_input_gradient<S>(w.middleCols(first, count), dy.middleRows(first, count),
                                         dx);
      });
    } else if (detail::is_sparse<S>(dy)) {
      detail::for_each_non_zero<S>(dy, [&](Index o, Index b) { dx.col(b) += w.col(o) * dy(o, b); });
    } else {
      dx.noalias() += w * dy;
    }
  } else {
    for (Index b = 0; b < dy.cols(); ++b) {
      for (Index o = 0; o < w.cols(); ++o) {
        for (Index i = 0; i < w.rows(); ++i) dx(i, b) += w(i, o) * dy(o, b);
      }
    }
  }
}

/// dW += x dy'. x: p x B, dy: u x B, dW: p x u.
template <class S>
void weight_gradient_product(const In<S>& x, const In<S>& dy, Out<S> dw) {
  if constexpr (detail::has_fast_product<S>) {
    if (detail::is_sparse<S>(dy)) {
      detail::for_each_non_zero<S>(dy, [&](Index o, Index b) { dw.col(o) += x.col(b) * dy(o, b); });
    } else if (dw.cols() <= kernel::max_skinny) {
      kernel::skinny_weight_gradient<S>(x, dy, dw);
    } else {
      dw.noalias() += x * dy.transpose();
    }
  } else {
    for (Index b = 0; b < dy.cols(); ++b) {
      for (Index o = 0; o < dw.cols(); ++o) {
        for (Index i = 0; i < dw.rows(); ++i) dw(i, o) += x(i, b) * dy(o, b);
      }
    }
  }
}

}  // namespace selgate
