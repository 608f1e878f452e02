// SPDX-License-Identifier: MIT
#pragma once

#include <selgate/math/activation.hpp>
#include <selgate/math/kernel/lanes.hpp>

#include <algorithm>
#include <vector>

namespace selgate::kernel {

/// Sizes of a convolution with a square kernel, stride 1 and no padding.
struct ConvShape {
  Index in_channels, height, width, out_channels, kernel;

  [[nodiscard]] Index out_height() const { return height - kernel + 1; }
  [[nodiscard]] Index out_width() const { return width - kernel + 1; }
  /// Places of the kernel in the image.
  [[nodiscard]] Index pixels() const { return out_height() * out_width(); }
  /// Weights of one output channel.
  [[nodiscard]] Index taps() const { return in_channels * kernel * kernel; }
  [[nodiscard]] Index in_features() const { return in_channels * height * width; }
  [[nodiscard]] Index out_features() const { return out_channels * pixels(); }
};

/// out[r, c] += sum over t of factor[r, t] * x[c, t], added in the order of t, where
///
///   out[r, c]    is out[r * out_row + out_offset[c]],
///   factor[r, t] is factor[r * factor_row + t * factor_step],
///   x[c, t]      is x[x_offset[c] + x_step[t]].
///
/// E is what is summed, a scalar or a pack of examples; F is E, or a scalar for all its lanes.
template <class E, class F>
struct OffsetProduct {
  Index rows, columns, terms;
  E* out;
  Index out_row;
  const Index* out_offset;
  const F* factor;
  Index factor_row, factor_step;
  const E* x;
  const Index* x_offset;
  const Index* x_step;

  void add() const {
    Index row = 0;
    // R x C sums, C operands and a factor fill the 16 registers of AVX2.
    for (; row + 2 <= rows; row += 2) add_columns<2, 5>(row, 0);
    if (row < rows) add_columns<1, 7>(row, 0);
  }

 private:
  template <int R, int C>
  void add_columns(Index row, Index column) const {
    for (; column + C <= columns; column += C) add_tile<R, C>(row, column);
    if constexpr (C > 1) add_columns<R, C / 2>(row, column);
  }

  /// gcc keeps arrays of packs in registers only where every loop over them is unrolled, and the
  /// addresses only where the callers' are out of the way.
  template <int R, int C>
  [[gnu::noinline]] void add_tile(Index row, Index column) const {
    const E* x_column[C];
    E* out_column[C];
    E sum[R][C];
#pragma GCC unroll 16
    for (int c = 0; c < C; ++c) {
      x_column[c] = x + x_offset[column + c];
      out_column[c] = out + row * out_row + out_offset[column + c];
#pragma GCC unroll 16
      for (int r = 0; r < R; ++r) sum[r][c] = out_column[c][r * out_row];
    }
    const F* f = factor + row * factor_row;
    for (Index t = 0; t < terms; ++t, f += factor_step) {
      E xs[C];
#pragma GCC unroll 16
      for (int c = 0; c < C; ++c) xs[c] = x_column[c][x_step[t]];
#pragma GCC unroll 16
      for (int r = 0; r < R; ++r) {
        const F factor_r = f[r * factor_row];
#pragma GCC unroll 16
        for (int c = 0; c < C; ++c) sum[r][c] += xs[c] * factor_r;
      }
    }
#pragma GCC unroll 16
    for (int c = 0; c < C; ++c) {
#pragma GCC unroll 16
      for (int r = 0; r < R; ++r) out_column[c][r * out_row] = sum[r][c];
    }
  }
};

/// A convolution and its gradients on as many examples as lanes:
///
///   y(o, q)  = activation(bias(o) + sum over t of W(t, o) x(pixel q + tap t))
///   dW(t, o) += sum over q of x(pixel q + tap t) dpre(o, q),  dbias(o) += sum over q of dpre(o, q)
///   dx(pixel q + tap t) += sum over o of W(t, o) dpre(o, q)
///
/// where pixel q is the place in an image channel that the kernel's first corner takes for output
/// q, and tap t, over (channel, row, column of the kernel), what it reads relative to that place.
/// The images stay in the tile, the outputs pass through it `chunk` pixels at a time.
template <class S>
class ConvTile {
 public:
  using Element = typename Lanes<S>::Element;
  static constexpr Index examples = Lanes<S>::count;

  explicit ConvTile(const ConvShape& shape)
      : shape_(shape),
        stage_(chunk, examples),
        x_(size(shape.in_features())),
        dx_(size(shape.in_features())),
        y_(size(shape.out_channels * chunk)),
        dweight_(size(shape.taps() * shape.out_channels)),
        dbias_(size(shape.out_channels)) {
    for (Index i = 0; i < shape.out_height(); ++i) {
      for (Index j = 0; j < shape.out_width(); ++j) pixel_.push_back(i * shape.width + j);
    }
    for (Index c = 0; c < shape.in_channels; ++c) {
      for (Index i = 0; i < shape.kernel; ++i) {
        for (Index j = 0; j < shape.kernel; ++j) {
          tap_.push_back((c * shape.height + i) * shape.width + j);
        }
      }
    }
    for (Index i = 0; i < std::max(chunk, shape.taps()); ++i) identity_.push_back(i);
    for (Index o = 0; o < shape.out_channels; ++o) channel_.push_back(o * chunk);
  }

  /// Sets y. x and y have at most `examples` columns, bias may be empty.
  void forward(const Matrix<S>& weight, const Vector<S>& bias, Activation activation,
               const In<S>& x, Out<S> y) {
    gather<S>(x, x_.data());
    for_each_chunk([&](Index q, Index count) {
      for (Index o = 0; o < shape_.out_channels; ++o) {
        const Element start = broadcast<Element>(bias.size() != 0 ? bias[o] : S(0));
        std::fill_n(y_.begin() + o * chunk, count, start);
      }
      OffsetProduct<Element, S>{.rows = shape_.out_channels,
                                .columns = count,
                                .terms = shape_.taps(),
                                .out = y_.data(),
                                .out_row = chunk,
                                .out_offset = identity_.data(),
                                .factor = weight.data(),
                                .factor_row = shape_.taps(),
                                .factor_step = 1,
                                .x = x_.data(),
                                .x_offset = &pixel_[size(q)],
                                .x_step = tap_.data()}
          .add();
      for (Index o = 0; o < shape_.out_channels; ++o) {
        auto stage = stage_.topLeftCorner(count, y.cols());
        scatter<S>(&y_[size(o * chunk)], stage);
        activate(activation, stage);
        y.middleRows(o * shape_.pixels() + q, count) = stage;
      }
    });
  }

  /// Between these two the tile collects the parameters' gradients, lane by lane.
  void begin_gradient(const Matrix<S>& dweight, const Vector<S>& dbias) {
    gather<S>(dweight.reshaped(), dweight_.data());
    gather<S>(dbias, dbias_.data());
  }
  void end_gradient(Matrix<S>& dweight, Vector<S>& dbias) const {
    for (Index i = 0; i < dweight.size(); ++i) dweight.data()[i] = Lanes<S>::sum(dweight_[size(i)]);
    for (Index i = 0; i < dbias.size(); ++i) dbias[i] = Lanes<S>::sum(dbias_[size(i)]);
  }

  /// Adds to the parameters' gradients, if has_bias to both, and to dx if wanted.
  void backward(const Matrix<S>& weight, bool has_bias, Activation activation, const In<S>& x,
                const In<S>& y, const In<S>& dy, Out<S> dx) {
    gather<S>(x, x_.data());
    if (wanted(dx)) gather<S>(dx, dx_.data());
    for_each_chunk([&](Index q, Index count) {
      for (Index o = 0; o < shape_.out_channels; ++o) {
        auto dpre = stage_.topLeftCorner(count, dy.cols());
        const Index row = o * shape_.pixels() + q;
        activation_gradient(activation, y.middleRows(row, count), dy.middleRows(row, count), dpre);
        gather<S>(dpre, &y_[size(o * chunk)]);
      }
      add_weight_gradient(q, count);
      for (Index i = 0; has_bias && i < count; ++i) {
        for (Index o = 0; o < shape_.out_channels; ++o) dbias_[size(o)] += y_[size(o * chunk + i)];
      }
      if (wanted(dx)) add_input_gradient(weight, q, count);
    });
    if (wanted(dx)) scatter<S>(dx_.data(), dx);
  }

 private:
  static std::size_t size(Index n) { return static_cast<std::size_t>(n); }
  /// A multiple of the tiles and of the lanes; a few channels of so many packs stay in the cache.
  static constexpr Index chunk = 80;

  template <class Body>
  void for_each_chunk(const Body& body) const {
    for (Index q = 0; q < shape_.pixels(); q += chunk)
      body(q, std::min(chunk, shape_.pixels() - q));
  }

  void add_weight_gradient(Index q, Index count) {
    OffsetProduct<Element, Element>{.rows = shape_.out_channels,
                                    .columns = shape_.taps(),
                                    .terms = count,
                                    .out = dweight_.data(),
                                    .out_row = shape_.taps(),
                                    .out_offset = identity_.data(),
                                    .factor = y_.data(),
                                    .factor_row = chunk,
                                    .factor_step = 1,
                                    .x = x_.data(),
                                    .x_offset = tap_.data(),
                                    .x_step = &pixel_[size(q)]}
        .add();
  }

  /// One product for each place in the kernel: rows are input channels, terms output channels.
  void add_input_gradient(const Matrix<S>& weight, Index q, Index count) {
    for (Index i = 0; i < shape_.kernel; ++i) {
      for (Index j = 0; j < shape_.kernel; ++j) {
        OffsetProduct<Element, S>{.rows = shape_.in_channels,
                                  .columns = count,
                                  .terms = shape_.out_channels,
                                  .out = &dx_[size(i * shape_.width + j)],
                                  .out_row = shape_.height * shape_.width,
                                  .out_offset = &pixel_[size(q)],
                                  .factor = weight.data() + i * shape_.kernel + j,
                                  .factor_row = shape_.kernel * shape_.kernel,
                                  .factor_step = shape_.taps(),
                                  .x = y_.data(),
                                  .x_offset = identity_.data(),
                                  .x_step = channel_.data()}
            .add();
      }
    }
  }

  ConvShape shape_;
  std::vector<Index> pixel_, tap_;         // see above
  std::vector<Index> identity_, channel_;  // 0, 1, 2...; where each output channel begins in y_
  Matrix<S> stage_;                        // chunk x examples, one channel of a chunk
  std::vector<Element> x_, dx_, y_;        // y_: one chunk of all channels, of y or of dpre
  std::vector<Element> dweight_, dbias_;
};

}  // namespace selgate::kernel
