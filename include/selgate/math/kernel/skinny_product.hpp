// SPDX-License-Identifier: MIT
#pragma once

#include <selgate/core/types.hpp>
#include <selgate/math/kernel/pack.hpp>

#include <algorithm>

namespace selgate::kernel {

/// Up to this many outputs the kernels here serve; they keep no packed copy of the weights.
inline constexpr Index max_skinny = 64;

namespace detail {

/// y(o + i, b + j) = bias(o + i) + sum over k of W(k, o + i) x(k, b + j) for an O x C tile. The sum
/// runs over lanes first, then over the lanes in index order, then over the last few k: the same
/// additions for one entry whatever the tile, so an example's result does not depend on its batch.
template <int O, int C, class S>
void skinny_tile(const S* w, Index w_stride, const S* bias, const S* x, Index x_stride, Index size,
                 S* y, Index y_stride) {
  using P = Pack<S>;
  constexpr Index lanes = lane_count<S>;
  P sum[O][C];
  for (int i = 0; i < O; ++i) {
    for (int j = 0; j < C; ++j) sum[i][j] = P{};
  }
  Index k = 0;
  for (; k + lanes <= size; k += lanes) {
    P xs[C];
    for (int j = 0; j < C; ++j) load<S>(x + j * x_stride + k, xs[j]);
    for (int i = 0; i < O; ++i) {
      P ws;
      load<S>(w + i * w_stride + k, ws);
      for (int j = 0; j < C; ++j) sum[i][j] += ws * xs[j];
    }
  }
  for (int i = 0; i < O; ++i) {
    for (int j = 0; j < C; ++j) {
      S total = bias != nullptr ? bias[i] : S(0);
      for (Index l = 0; l < lanes; ++l) total += sum[i][j][l];
      for (Index r = k; r < size; ++r) total += w[i * w_stride + r] * x[j * x_stride + r];
      y[j * y_stride + i] = total;
    }
  }
}

template <int C, class S>
void skinny_columns(const In<S>& w, const S* bias, const S* x, Index x_stride, S* y, Index y_stride) {
  const Index outputs = w.cols(), stride = w.outerStride();
  Index o = 0;
  for (; o + 3 <= outputs; o += 3) {
    skinny_tile<3, C>(w.data() + o * stride, stride, bias ? bias + o : nullptr, x, x_stride, w.rows(),
                      y + o, y_stride);
  }
  for (; o < outputs; ++o) {
    skinny_tile<1, C>(w.data() + o * stride, stride, bias ? bias + o : nullptr, x, x_stride, w.rows(),
                      y + o, y_stride);
  }
}

}  // namespace detail

/// y = W' x + bias; one fixed order of additions per example and output.
template <class S>
void skinny_forward(const In<S>& w, const In<S>& bias, const In<S>& x, Out<S> y) {
  const S* bias_data = bias.size() != 0 ? bias.data() : nullptr;
  Index b = 0;
  for (; b + 4 <= x.cols(); b += 4) {
    detail::skinny_columns<4, S>(w, bias_data, x.data() + b * x.outerStride(), x.outerStride(),
                                 y.data() + b * y.outerStride(), y.outerStride());
  }
  for (; b < x.cols(); ++b) {
    detail::skinny_columns<1, S>(w, bias_data, x.data() + b * x.outerStride(), x.outerStride(),
                                 y.data() + b * y.outerStride(), y.outerStride());
  }
}

/// dx += W dy; the outputs are added in index order for every entry.
template <class S>
void skinny_input_gradient(const In<S>& w, const In<S>& dy, Out<S> dx) {
  using P = Pack<S>;
  constexpr Index lanes = lane_count<S>;
  const Index size = w.rows(), outputs = w.cols();
  for (Index b = 0; b < dy.cols(); ++b) {
    const S* dy_column = dy.data() + b * dy.outerStride();
    S* dx_column = dx.data() + b * dx.outerStride();
    Index k = 0;
    for (; k + 4 * lanes <= size; k += 4 * lanes) {
      P sum[4];
      for (int i = 0; i < 4; ++i) load<S>(dx_column + k + i * lanes, sum[i]);
      for (Index o = 0; o < outputs; ++o) {
        const S factor = dy_column[o];
        const S* column = w.data() + o * w.outerStride() + k;
        for (int i = 0; i < 4; ++i) {
          P ws;
          load<S>(column + i * lanes, ws);
          sum[i] += ws * factor;
        }
      }
      for (int i = 0; i < 4; ++i) store<S>(sum[i], dx_column + k + i * lanes);
    }
    for (; k < size; ++k) {
      for (Index o = 0; o < outputs; ++o) {
        dx_column[k] += w.data()[o * w.outerStride() + k] * dy_column[o];
      }
    }
  }
}

}  // namespace selgate::kernel
