// SPDX-License-Identifier: MIT
#pragma once

#include <selgate/math/activation.hpp>
#include <selgate/math/kernel/gather.hpp>

#include <algorithm>

namespace selgate::kernel {

/// Dense units whose outputs are added up s at a time, examples in the lanes:
///
///   h(r, b) = bias(r) + sum over k of w(k, r) x(k, b),
///   y(j, b) = sum over i < s of a(h(j s + i, b))
///
/// with a = activation. No unit is ever stored: backward computes it again.
template <class S>
struct UnitSums {
  using L = Lanes<S>;
  using Element = typename L::Element;
  static constexpr Index packs = L::count == 1 ? 1 : 2, examples = packs * L::count;  // of a tile

  View<const S> w;  // p x units
  const S* bias;    // or nullptr
  Activation activation;
  Index s;
  const S* x;  // x', B x p, with columns so far apart that whole tiles may be read
  Index stride;

  void forward(Out<S> y) const {
    Element tile[max_rows][packs];
    for (Index b = 0; b < y.cols(); b += examples) {
      for (Index first = 0; first < y.rows(); first += max_rows) {
        const Index rows = std::min(max_rows, y.rows() - first);
        for (Index j = 0; j < rows; ++j) {
          Element sum[packs] = {};
          for_units(first + j, b, [&](const Element(&h)[packs]) {
#pragma GCC unroll 4
            for (int i = 0; i < packs; ++i) sum[i] += activated(h[i]);
          });
#pragma GCC unroll 4
          for (int i = 0; i < packs; ++i) tile[j][i] = sum[i];
        }
        scatter_tile(tile, y.middleRows(first, rows), b);
      }
    }
  }

  /// dh(r, b) = a'(h(r, b)) dy(r / s, b); dh', B x units, has columns as far apart as those of x'.
  void backward(const In<S>& dy, S* dh) const {
    Element dy_tile[max_rows][packs];
    for (Index b = 0; b < dy.cols(); b += examples) {
      S* to = dh + b;
      for (Index j = 0; j < dy.rows(); ++j) {
        const Index row = j % max_rows;
        if (row == 0) {
          gather_packs<S, packs>(
              dy.block(j, b, std::min(max_rows, dy.rows() - j), std::min(examples, dy.cols() - b)),
              dy_tile);
        }
        for_units(j, b, [&](const Element(&h)[packs]) {
#pragma GCC unroll 4
          for (int i = 0; i < packs; ++i) {
            L::store(slope_times(h[i], dy_tile[row][i]), to + i * L::count);
          }
          to += stride;
        });
      }
    }
  }

 private:
  static constexpr Index max_rows = 16;  // of a tile

  /// body(h) for each unit of output j.
  template <class Body>
  void for_units(Index j, Index b, const Body& body) const {
    Index r = j * s;
    const Index end = r + s;
    for (; r + 4 <= end; r += 4) add_up<4>(r, b, body);
    for (; r < end; ++r) add_up<1>(r, b, body);
  }
  template <int N, class Body>
  [[gnu::always_inline]] void add_up(Index r, Index b, const Body& body) const {
    Element h[N][packs];
    const S* w_r = w.data() + r * w.outerStride();
#pragma GCC unroll 4
    for (int n = 0; n < N; ++n) {
      const auto start = broadcast<Element>(bias != nullptr ? bias[r + n] : S(0));
#pragma GCC unroll 4
      for (int i = 0; i < packs; ++i) h[n][i] = start;
    }
    const S* x_b = x + b;
    for (Index k = 0; k < w.rows(); ++k, x_b += stride) {
      Element x_k[packs];
#pragma GCC unroll 4
      for (int i = 0; i < packs; ++i) x_k[i] = L::load(x_b + i * L::count);
#pragma GCC unroll 4
      for (int n = 0; n < N; ++n) {
        const S& w_k = w_r[k + n * w.outerStride()];
#pragma GCC unroll 4
        for (int i = 0; i < packs; ++i) h[n][i] += x_k[i] * w_k;
      }
    }
#pragma GCC unroll 4
    for (int n = 0; n < N; ++n) body(h[n]);
  }

  [[nodiscard]] Element activated(const Element& h) const {
    if (activation == Activation::identity) return h;
    return selgate::detail::where_positive(h, h);
  }
  [[nodiscard]] Element slope_times(const Element& h, const Element& dy) const {
    if (activation == Activation::identity) return dy;
    return selgate::detail::where_positive(h, dy);
  }

  static void scatter_tile(const Element (*tile)[packs], Out<S> y, Index b) {
    scatter_packs<S, packs>(tile, y.middleCols(b, std::min(examples, y.cols() - b)));
  }
};

}  // namespace selgate::kernel
