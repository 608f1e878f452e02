// SPDX-License-Identifier: MIT
#pragma once

#include <selgate/math/kernel/gather.hpp>

#include <algorithm>

namespace selgate::kernel {

/// From so many examples on batched_forward serves.
template <class S>
inline constexpr Index min_batch = Lanes<S>::count;

namespace detail {

/// y(o, b) = bias(o) + sum over k of w(k, o) x(k, b), k in order, with examples in the lanes.
template <class S>
class BatchedForward {
 public:
  BatchedForward(const In<S>& w, const In<S>& bias, const In<S>& x, Out<S> y)
      : w_(w), x_(x), bias_(bias.size() != 0 ? bias.data() : nullptr), y_(y) {}

  /// In blocks of examples. The last one begins earlier where it would go too far, and sets some
  /// entries a second time: to the same bits.
  void set() {
    const Index examples = x_.cols(), wide = 2 * min_batch<S>;
    Index b = 0;
    for (; b + wide <= examples; b += wide) set_block<2>(b);
    if (examples - b > min_batch<S>) {
      if (examples >= wide) return set_block<2>(examples - wide);
      set_block<1>(b);
    }
    if (b < examples) set_block<1>(examples - min_batch<S>);
  }

 private:
  using Element = typename Lanes<S>::Element;
  static constexpr Index max_features = 256;  // of a panel, which stays in the first cache

  /// P packs of examples.
  template <int P>
  void set_block(Index b) {
    Element panel[max_features][P];
    Index k = 0;
    do {  // at least once: the bias is all that no features have
      const Index size = std::min(max_features, x_.rows() - k);
      gather_packs<S, P>(x_.block(k, b, size, P * min_batch<S>), panel);
      add_outputs<P, 8>(panel, k, size, 0, b);
      k += max_features;
    } while (k < x_.rows());
  }
  template <int P, int C>
  void add_outputs(const Element (*x)[P], Index k, Index size, Index o, Index b) {
    for (; o + C <= w_.cols(); o += C) add_tile<P, C>(x, k, size, o, b);
    if constexpr (C > 1) add_outputs<P, C / 2>(x, k, size, o, b);
  }
  /// C outputs of a block: sums begin at the bias, or go on from what they are.
  template <int P, int C>
  [[gnu::noinline]] void add_tile(const Element (*x)[P], Index k, Index size, Index o, Index b) {
    const Out<S> y = y_.block(o, b, C, P * min_batch<S>);
    Element sum[C][P];
    if (k == 0) {
#pragma GCC unroll 16
      for (int c = 0; c < C; ++c) {
        for (int i = 0; i < P; ++i) {
          sum[c][i] = broadcast<Element>(bias_ != nullptr ? bias_[o + c] : S(0));
        }
      }
    } else {
      gather_packs<S, P>(y, sum);
    }
    const Index stride = w_.outerStride();
    const S* w = w_.data() + k + o * stride;
    for (Index j = 0; j < size; ++j) {
      Element x_j[P];
#pragma GCC unroll 16
      for (int i = 0; i < P; ++i) {
        x_j[i] = x[j][i];
        hold(x_j[i]);
      }
#pragma GCC unroll 16
      for (int c = 0; c < C; ++c) {
        const S w_jc = w[j + c * stride];
#pragma GCC unroll 16
        for (int i = 0; i < P; ++i) sum[c][i] += x_j[i] * w_jc;
      }
      if constexpr (P * C == 1) hold(sum[0][0]);
    }
    scatter_packs<S, P>(sum, y);
  }

  const In<S>&w_, &x_;
  const S* bias_;
  Out<S> y_;
};

}  // namespace detail

/// y = W' x + bias (u x 1, or empty) for at least min_batch examples. No sum is left in
/// lanes to be added up, as in a dot product, and to transpose x costs next to nothing.
template <class S>
void batched_forward(const In<S>& w, const In<S>& bias, const In<S>& x, Out<S> y) {
  detail::BatchedForward<S>(w, bias, x, y).set();
}

}  // namespace selgate::kernel
