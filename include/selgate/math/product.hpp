// SPDX-License-Identifier: MIT
#pragma once

#include <selgate/core/non_zeros.hpp>
#include <selgate/math/kernel/batched_forward.hpp>
#include <selgate/math/kernel/skinny_product.hpp>

#include <algorithm>
#include <concepts>

namespace selgate {

/// The three dense products of the library, behind one door. Weights W are in x out, activations
/// features x batch. float and double go to Eigen (or to whatever BLAS the user gave Eigen), or
/// with AVX-512 to kernels of our own. Up to kernel::max_skinny outputs, for a single example, and
/// wherever a fixed order is asked for, they go to a kernel that adds in one order per example, so
/// that an example's logits do not depend on the batch around it. A derivative dy that is mostly 0
/// costs its other entries alone, but for a fixed order. Every other scalar (dual numbers, counting
/// scalars, long double) takes the plain loops below.

/// In which order a product may add: `fixed` means the same for an example in any batch.
enum class SumOrder { fastest, fixed };

namespace detail {

enum class Side { as_is, transposed };

/// c += op(a) op(b): Eigen's blocked product on one thread, or the BLAS that the user gave Eigen.
/// Expressions of Eigen end here too, but bring a product for vectors and one for small sizes
/// along, which never run here and take longer to compile than a whole gate.
template <Side A, Side B, class S>
void add_blocked_product(const In<S>& a, const In<S>& b, Out<S> c) {
  using Eigen::ColMajor, Eigen::Dynamic;
  constexpr int a_order = A == Side::as_is ? ColMajor : Eigen::RowMajor;
  constexpr int b_order = B == Side::as_is ? ColMajor : Eigen::RowMajor;
  const Index depth = A == Side::as_is ? a.cols() : a.rows();
  if (depth == 0 || c.size() == 0) return;
  Eigen::internal::gemm_blocking_space<ColMajor, S, S, Dynamic, Dynamic, Dynamic> blocking(
      c.rows(), c.cols(), depth, 1, true);
  Eigen::internal::general_matrix_matrix_product<Index, S, a_order, false, S, b_order, false,
                                                 ColMajor, 1>::run(c.rows(), c.cols(), depth,
                                                                   a.data(), a.outerStride(),
                                                                   b.data(), b.outerStride(),
                                                                   c.data(), 1, c.outerStride(),
                                                                   S(1), blocking, nullptr);
}

template <class S>
inline constexpr bool has_fast_product = std::same_as<S, float> || std::same_as<S, double>;

/// Whether our kernels serve any number of outputs: with 32 registers they are faster than Eigen's
/// product (docs/performance.md). The user's BLAS comes first.
#ifdef EIGEN_USE_BLAS
inline constexpr bool serves_any_size = false;
#else
inline constexpr bool serves_any_size = kernel::pack_registers == 32;
#endif
/// Few outputs, or a single example: a blocked product would copy the weights for it.
inline bool is_skinny(Index outputs, Index examples) {
  return outputs <= kernel::max_skinny || examples == 1;
}
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
    selgate::for_each_non_zero(dy.col(b).data(), dy.rows(), [&](Index o) { body(o, b); });
  }
}
}  // namespace detail

/// y = W' x + bias per output (bias may be empty). W: p x u, x: p x B.
template <class S>
void forward_product(const In<S>& w, const In<S>& bias, const In<S>& x, Out<S> y,
                     [[maybe_unused]] SumOrder order = SumOrder::fastest) {
  if constexpr (detail::has_fast_product<S>) {
    if (x.cols() == 0) return;
    if (detail::is_skinny(w.cols(), x.cols()) || order == SumOrder::fixed ||
        (detail::serves_any_size && x.cols() < kernel::min_batch<S>)) {
      detail::for_output_blocks(w.cols(), [&](Index first, Index count) {
        const Index biases = bias.size() != 0 ? count : 0;
        kernel::skinny_forward<S>(w.middleCols(first, count),
                                  bias.middleRows(biases ? first : 0, biases), x,
                                  y.middleRows(first, count));
      });
    } else if constexpr (detail::serves_any_size) {
      kernel::batched_forward<S>(w, bias, x, y);
    } else {
      for (Index b = 0; b < y.cols(); ++b) {  // sums start at the bias
        S* at = y.col(b).data();
        bias.size() != 0 ? std::copy_n(bias.data(), y.rows(), at) : std::fill_n(at, y.rows(), S(0));
      }
      detail::add_blocked_product<detail::Side::transposed, detail::Side::as_is, S>(w, x, y);
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
    const bool is_skinny = detail::is_skinny(w.cols(), dy.cols()) || order == SumOrder::fixed;
    if (!is_skinny && detail::is_sparse<S>(dy)) {
      detail::for_each_non_zero<S>(dy, [&](Index o, Index b) { dx.col(b) += w.col(o) * dy(o, b); });
    } else if (detail::serves_any_size || is_skinny) {
      detail::for_output_blocks(w.cols(), [&](Index first, Index count) {
        kernel::skinny_input_gradient<S>(w.middleCols(first, count), dy.middleRows(first, count),
                                         dx);
      });
    } else if constexpr (!detail::serves_any_size) {
      detail::add_blocked_product<detail::Side::as_is, detail::Side::as_is, S>(w, dy, dx);
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
    } else if (detail::serves_any_size || detail::is_skinny(dw.cols(), x.cols())) {
      detail::for_output_blocks(dw.cols(), [&](Index first, Index count) {
        kernel::skinny_weight_gradient<S>(x, dy.middleRows(first, count),
                                          dw.middleCols(first, count));
      });
    } else if constexpr (!detail::serves_any_size) {
      detail::add_blocked_product<detail::Side::as_is, detail::Side::transposed, S>(x, dy, dw);
    }
  } else {
    for (Index b = 0; b < dy.cols(); ++b) {
      for (Index o = 0; o < dw.cols(); ++o) {
        for (Index i = 0; i < dw.rows(); ++i) dw(i, o) += x(i, b) * dy(o, b);
      }
    }
  }
}

/// The same from x' (B x p) and dy' (B x u), where the examples are side by side.
template <class S>
void weight_gradient_product_of_rows(const In<S>& x, const In<S>& dy, Out<S> dw) {
  if constexpr (detail::has_fast_product<S>) {
    constexpr Index most = 48;
    S sums[kernel::max_skinny * most];
    detail::for_output_blocks(dw.rows(), [&](Index i, Index rows) {
      for (Index o = 0; o < dw.cols(); o += most) {
        const Index columns = std::min(most, dw.cols() - o);
        View<S> part(sums, rows, columns, Eigen::OuterStride<>(rows));
        kernel::skinny_forward<S>(x.middleCols(i, rows), Matrix<S>(), dy.middleCols(o, columns),
                                  part);
        dw.block(i, o, rows, columns) += part;
      }
    });
  } else {
    for (Index o = 0; o < dw.cols(); ++o) {
      for (Index i = 0; i < dw.rows(); ++i) {
        for (Index b = 0; b < dy.rows(); ++b) dw(i, o) += x(b, i) * dy(b, o);
      }
    }
  }
}

}  // namespace selgate
