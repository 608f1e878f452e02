// SPDX-License-Identifier: MIT
#pragma once

#include <selgate/math/kernel/lanes.hpp>

#include <algorithm>
#include <cstring>

/// The three dense products where one side is narrow, as the logits of a gate are; in pieces that
/// are, of any size. Nothing is allocated, and only what many examples share is copied: one alone
/// does not pay for it.
namespace selgate::kernel {

/// Up to this many outputs the kernels here serve.
inline constexpr Index max_skinny = 64;

namespace detail {

/// Columns of a matrix, each contiguous.
template <class T>
struct Columns {
  T* data;
  Index stride;
  T* at(Index row, Index column) const { return data + row + column * stride; }
};

/// Copies `count` mod 2 N numbers; N is a power of 2. (A memcpy of some lanes is a slow call.)
template <Index N, class S>
void copy_few(const S* from, Index count, S* to) {
  if constexpr (N > 0) {
    const Index part = count & N;
    if (part != 0) std::memcpy(to, from, N * sizeof(S));
    copy_few<N / 2>(from + part, count, to + part);
  }
}

/// The first rows, less than a pack, of some columns: a pack for each, filled up with zeros.
template <class S>
void pad(const Columns<const S>& from, Index rows, Index columns, S* to) {
  constexpr Index lanes = lane_count<S>;
  std::fill_n(to, columns * lanes, S(0));
  for (Index j = 0; j < columns; ++j) copy_few<lanes / 2>(from.at(0, j), rows, to + j * lanes);
}

/// y(o, b) = bias(o) + sum over k of w(k, o) x(k, b), with k in the lanes. `size` alone decides the
/// order in which a sum is added, whatever tile it is in.
template <class S>
struct DotProducts {
  Index size, examples;
  Columns<const S> w, x;
  const S* bias;  // or nullptr
  Columns<S> y;

  /// The outputs from first_output to end_output, in tiles of O outputs x C examples. There must be
  /// C examples, and O outputs before end_output: a tile that would go too far begins earlier,
  /// before first_output too, and sets some entries a second time, to the same bits.
  template <int O, int C>
  void set(Index first_output, Index end_output) const {
    constexpr Index block = 16 / C * C;  // examples that stay in the first cache for all outputs
    const Index rest = size % lanes;
    S w_rest[O * lanes], x_rest[block * lanes];
    for (Index begin = 0; begin < examples; begin += block) {
      const Index first = std::min(begin, examples - C), end = std::min(begin + block, examples);
      if (rest != 0) pad<S>({x.at(size - rest, first), x.stride}, rest, end - first, x_rest);
      for (Index next = first_output; next < end_output; next += O) {
        const Index o = std::min(next, end_output - O);
        if (rest != 0) pad<S>({w.at(size - rest, o), w.stride}, rest, O, w_rest);
        for (Index b = first; b < end; b += C) {
          const Index at = std::min(b, end - C);
          set_tile<O, C>(o, at, w_rest, x_rest + (at - first) * lanes);
        }
      }
    }
  }

 private:
  static constexpr int lanes = lane_count<S>;

  /// gcc keeps arrays of packs in registers only where every loop over them is unrolled, and the
  /// addresses only where the callers' are out of the way.
  template <int O, int C>
  [[gnu::noinline]] void set_tile(Index o, Index b, const S* w_rest, const S* x_rest) const {
    Pack<S> sum[O * C];
#pragma GCC unroll 16
    for (int i = 0; i < O; ++i) {
      const S start = bias != nullptr ? bias[o + i] : S(0);
#pragma GCC unroll 16
      for (int c = 0; c < C; ++c) sum[c * O + i] = Pack<S>{start};
    }
    const Index whole = size - size % lanes;
    if constexpr (O == 16) {  // two at a time: more come slower from beyond the first cache
      static_assert(C == 1);
#pragma GCC unroll 16
      for (int i = 0; i < O; i += 2) {
        Pack<S> two[] = {sum[i], sum[i + 1]};
#pragma GCC unroll 4
        for (Index k = 0; k < whole; k += lanes) {
          add_pack<2, 1>({w.at(k, o + i), w.stride}, {x.at(k, b), x.stride}, two);
        }
        sum[i] = two[0];
        sum[i + 1] = two[1];
      }
    } else {
      for (Index k = 0; k < whole; k += lanes) {
        add_pack<O, C>({w.at(k, o), w.stride}, {x.at(k, b), x.stride}, sum);
      }
    }
    if (whole < size) add_pack<O, C>({w_rest, lanes}, {x_rest, lanes}, sum);
    S values[O * C];
    sum_lanes<S>(sum, values);
    const Columns<S> to{y.at(o, b), y.stride};
#pragma GCC unroll 16
    for (int c = 0; c < C; ++c) std::memcpy(to.at(0, c), values + c * O, O * sizeof(S));
  }

  template <int O, int C>
  [[gnu::always_inline]] static void add_pack(const Columns<const S>& ws,
                                              const Columns<const S>& xs, Pack<S> (&sum)[O * C]) {
    Pack<S> x_pack[C];
#pragma GCC unroll 16
    for (int c = 0; c < C; ++c) load<S>(xs.at(0, c), x_pack[c]);
#pragma GCC unroll 16
    for (int i = 0; i < O; ++i) {
      Pack<S> w_pack;
      load<S>(ws.at(0, i), w_pack);
#pragma GCC unroll 16
      for (int c = 0; c < C; ++c) sum[c * O + i] += w_pack * x_pack[c];
    }
    if constexpr (O * C == 1) hold(sum[0]);
  }
};

/// out(k, n) += sum over m of a(k, m) f(m, n), with k in the lanes and m in order. f(m, n) is
/// factor[m * factor_row + n * factor_column].
template <class S>
struct ScaledColumns {
  Index size, terms, columns;  // k, m and n; the last two up to max_skinny
  Columns<const S> a;
  const S* factor;
  Index factor_row, factor_column;
  Columns<S> out;

  void add() const {
    const Index rest = size % lanes, whole = size - rest;
    if (columns < 3) {
      add_rows<8>(0, whole);
    } else {
      add_rows<4>(0, whole);
    }
    if (rest != 0) add_rest(whole, rest);
  }

 private:
  static constexpr int lanes = lane_count<S>;

  /// R packs x C columns of sums, C factors and a pack of a fill the 16 registers of AVX2.
  template <int R>
  void add_rows(Index k, Index end) const {
    for (; k + R * lanes <= end; k += R * lanes) {
      if (columns < 16) {
        add_columns<R, columns_of<R>>({a.at(k, 0), a.stride}, k, 0);
      } else {  // columns a power of 2 apart share few lines of the cache: side by side they do not
        S panel[max_skinny * R * lanes];
        for (Index m = 0; m < terms; ++m) std::copy_n(a.at(k, m), R * lanes, panel + m * R * lanes);
        add_columns<R, columns_of<R>>({panel, R * lanes}, k, 0);
      }
    }
    if constexpr (R > 1) add_rows<R / 2>(k, end);
  }
  template <int R>
  static constexpr int columns_of = R == 1 ? 6 : 12 / R;

  template <int R, int C>
  void add_columns(const Columns<const S>& rows, Index k, Index n) const {
    for (; n + C <= columns; n += C) add_tile<R, C>(rows, k, n);
    if constexpr (C > 1) add_columns<R, (C + 1) / 2>(rows, k, n);
  }

  /// `rows`: those of a from k on.
  template <int R, int C>
  [[gnu::noinline]] void add_tile(Columns<const S> rows, Index k, Index n) const {
    const Columns<S> to{out.at(k, n), out.stride};
    const S* f = factor + n * factor_column;
    Pack<S> sum[C][R];
#pragma GCC unroll 16
    for (int c = 0; c < C; ++c) {
#pragma GCC unroll 16
      for (int i = 0; i < R; ++i) load<S>(to.at(i * lanes, c), sum[c][i]);
    }
    for (Index m = 0; m < terms; ++m, f += factor_row) {
      S f_m[C];
#pragma GCC unroll 16
      for (int c = 0; c < C; ++c) f_m[c] = f[c * factor_column];
#pragma GCC unroll 16
      for (int i = 0; i < R; ++i) {
        Pack<S> a_pack;
        load<S>(rows.at(i * lanes, m), a_pack);
#pragma GCC unroll 16
        for (int c = 0; c < C; ++c) sum[c][i] += a_pack * f_m[c];
      }
      if constexpr (R * C == 1) hold(sum[0][0]);
    }
#pragma GCC unroll 16
    for (int c = 0; c < C; ++c) {
#pragma GCC unroll 16
      for (int i = 0; i < R; ++i) store<S>(sum[c][i], to.at(i * lanes, c));
    }
  }

  /// The last rows, less than a pack of them.
  void add_rest(Index k, Index rows) const {
    S a_rest[max_skinny * lanes], out_rest[max_skinny * lanes];
    pad<S>({a.at(k, 0), a.stride}, rows, terms, a_rest);
    pad<S>({out.at(k, 0), out.stride}, rows, columns, out_rest);
    ScaledColumns padded = *this;
    padded.size = lanes;
    padded.a = {a_rest, lanes};
    padded.out = {out_rest, lanes};
    padded.add();
    for (Index n = 0; n < columns; ++n)
      copy_few<lanes / 2>(out_rest + n * lanes, rows, out.at(k, n));
  }
};

}  // namespace detail

/// y = W' x + bias; one fixed order of additions per example and output.
template <class S>
void skinny_forward(const In<S>& w, const In<S>& bias, const In<S>& x, Out<S> y) {
  const Index outputs = w.cols(), examples = x.cols();
  const detail::DotProducts<S> products{.size = w.rows(),
                                        .examples = examples,
                                        .w = {w.data(), w.outerStride()},
                                        .x = {x.data(), x.outerStride()},
                                        .bias = bias.size() != 0 ? bias.data() : nullptr,
                                        .y = {y.data(), y.outerStride()}};
  if (outputs >= 4 && examples >= 3) {
    products.template set<4, 3>(0, outputs);
  } else if (outputs >= 8) {
    Index by_16 = 0;
    if constexpr (pack_registers == 32) {  // narrower packs are too many a column for two sums
      if (outputs >= 16) {
        by_16 = std::min(outputs, (outputs + 7) / 16 * 16);
        products.template set<16, 1>(0, by_16);
      }
    }
    if (by_16 < outputs) products.template set<8, 1>(by_16, outputs);
  } else if (examples >= 6) {
    outputs >= 2 ? products.template set<2, 6>(0, outputs)
                 : products.template set<1, 6>(0, outputs);
  } else {
    outputs >= 2 ? products.template set<2, 1>(0, outputs)
                 : products.template set<1, 1>(0, outputs);
  }
}

/// dx += W dy; the outputs are added in index order for every entry.
template <class S>
void skinny_input_gradient(const In<S>& w, const In<S>& dy, Out<S> dx) {
  for (Index b = 0; b < dy.cols(); b += max_skinny) {
    detail::ScaledColumns<S>{.size = w.rows(),
                             .terms = w.cols(),
                             .columns = std::min(max_skinny, dy.cols() - b),
                             .a = {w.data(), w.outerStride()},
                             .factor = dy.data() + b * dy.outerStride(),
                             .factor_row = 1,
                             .factor_column = dy.outerStride(),
                             .out = {dx.data() + b * dx.outerStride(), dx.outerStride()}}
        .add();
  }
}

/// dW += x dy'; the examples are added in index order for every entry. dy(o, b) is
/// dy[o * output_stride + b * example_stride].
template <class S>
void skinny_weight_gradient(const In<S>& x, const S* dy, Index output_stride, Index example_stride,
                            Out<S> dw) {
  for (Index b = 0; b < x.cols(); b += max_skinny) {
    detail::ScaledColumns<S>{.size = x.rows(),
                             .terms = std::min(max_skinny, x.cols() - b),
                             .columns = dw.cols(),
                             .a = {x.data() + b * x.outerStride(), x.outerStride()},
                             .factor = dy + b * example_stride,
                             .factor_row = example_stride,
                             .factor_column = output_stride,
                             .out = {dw.data(), dw.outerStride()}}
        .add();
  }
}
template <class S>
void skinny_weight_gradient(const In<S>& x, const In<S>& dy, Out<S> dw) {
  skinny_weight_gradient<S>(x, dy.data(), 1, dy.outerStride(), dw);
}

}  // namespace selgate::kernel
