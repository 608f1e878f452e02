// SPDX-License-Identifier: MIT
#pragma once

#include <selgate/math/activation.hpp>
#include <selgate/math/kernel/gather.hpp>
#include <selgate/math/kernel/offset_product.hpp>

#include <algorithm>
#include <vector>

namespace selgate::kernel {

/// Sizes of a convolution with a square kernel, stride 1 and no padding, and of the windows of
/// pool x pool of its places of which the largest is kept. They do not overlap; rows and columns
/// that fill none are left out.
struct ConvShape {
  Index in_channels, height, width, out_channels, kernel, pool;

  [[nodiscard]] Index out_height() const { return (height - kernel + 1) / pool; }
  [[nodiscard]] Index out_width() const { return (width - kernel + 1) / pool; }
  /// Outputs of one channel.
  [[nodiscard]] Index windows() const { return out_height() * out_width(); }
  [[nodiscard]] Index window_pixels() const { return pool * pool; }
  /// Places of the kernel in the image.
  [[nodiscard]] Index pixels() const { return windows() * window_pixels(); }
  /// Weights of one output channel.
  [[nodiscard]] Index taps() const { return in_channels * kernel * kernel; }
  [[nodiscard]] Index in_features() const { return in_channels * height * width; }
  [[nodiscard]] Index out_features() const { return out_channels * windows(); }
  friend bool operator==(const ConvShape&, const ConvShape&) = default;
};

/// A convolution with max-pooling and its gradients on as many examples as lanes:
///
///   pre(o, q) = bias(o) + sum over t of W(t, o) x(pixel q + tap t)
///   y(o, w)   = activation(the largest pre(o, q) of the pixels q of window w)
///   dW(t, o) += sum over q of x(pixel q + tap t) dpre(o, q),  dbias(o) += sum over q of dpre(o, q)
///   dx(pixel q + tap t) += sum over o of W(t, o) dpre(o, q)
///
/// where pixel q is the place in an image channel that the kernel's first corner takes, and tap t,
/// over (channel, row, column of the kernel), what it reads relative to that place. The pixels of a
/// window follow each other. dpre is dy at the winner, the pixel that y comes from, and 0 at the
/// others. Where ReLU cuts there is none: it takes part as one more candidate, of value 0.
///
/// Images and outputs stay in the tile, pre and dpre pass through it `chunk` pixels at a time, the
/// winners wait in it for the backward pass.
template <class S>
class ConvTile {
 public:
  using Element = typename Lanes<S>::Element;
  static constexpr Index examples = Lanes<S>::count;

  ConvTile(const ConvShape& shape, Index max_batch)
      : shape_(shape),
        tiles_((max_batch + examples - 1) / examples),
        x_(size(shape.in_features())),
        dx_(size(shape.in_features())),
        y_(size(shape.out_features())),
        winner_(size(shape.out_features() * tiles_)),
        start_(Vector<S>::Zero(shape.out_channels)),
        dweight_(size(shape.taps() * shape.out_channels)),
        dbias_(size(shape.out_channels)) {
    for (Index w = 0; w < shape.windows(); ++w) {
      const Index row = w / shape.out_width() * shape.pool,
                  column = w % shape.out_width() * shape.pool;
      for (Index i = 0; i < shape.pool; ++i) {
        for (Index j = 0; j < shape.pool; ++j) {
          pixel_.push_back((row + i) * shape.width + column + j);
        }
      }
    }
    for (Index c = 0; c < shape.in_channels; ++c) {
      for (Index i = 0; i < shape.kernel; ++i) {
        for (Index j = 0; j < shape.kernel; ++j) {
          tap_.push_back((c * shape.height + i) * shape.width + j);
        }
      }
    }
    pre_.resize(size(shape.out_channels * chunk()));
    for (Index i = 0; i < std::max(chunk(), shape.taps()); ++i) identity_.push_back(i);
    for (Index o = 0; o < shape.out_channels; ++o) channel_.push_back(o * chunk());
  }

  [[nodiscard]] const ConvShape& shape() const { return shape_; }
  /// Examples that there is room for.
  [[nodiscard]] Index capacity() const { return tiles_ * examples; }

  /// Sets y. x and y are columns `begin` and on of a batch, a multiple of `examples`, and at most
  /// `examples` of them; bias may be empty.
  void forward(const Matrix<S>& weight, const Vector<S>& bias, Activation activation, Index begin,
               const In<S>& x, Out<S> y) {
    gather<S>(x, x_.data());
    if (bias.size() != 0) start_ = bias;
    for_each_block(0, shape_.pixels(), chunk(), [&](Index q, Index count) {
      OffsetProduct<Element, S>{.rows = shape_.out_channels,
                                .columns = count,
                                .terms = shape_.taps(),
                                .out = pre_.data(),
                                .out_row = chunk(),
                                .out_offset = identity_.data(),
                                .factor = weight.data(),
                                .factor_row = shape_.taps(),
                                .factor_step = 1,
                                .x = x_.data(),
                                .x_offset = &pixel_[size(q)],
                                .x_step = tap_.data(),
                                .start = start_.data()}
          .run();
      for (Index o = 0; o < shape_.out_channels; ++o) pool(activation, begin, o, q, count);
    });
    scatter<S>(y_.data(), y);
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
  void backward(const Matrix<S>& weight, bool has_bias, Index begin, const In<S>& x,
                const In<S>& dy, Out<S> dx) {
    gather<S>(x, x_.data());
    gather<S>(dy, y_.data());
    if (wanted(dx)) gather<S>(dx, dx_.data());
    for_each_block(0, shape_.pixels(), chunk(), [&](Index q, Index count) {
      for (Index o = 0; o < shape_.out_channels; ++o) unpool(has_bias, begin, o, q, count);
      add_weight_gradient(q, count);
      if (!wanted(dx)) return;
      // dx is read and written again for each place in the kernel: the part that is stays small.
      for_each_block(0, count, panel(),
                     [&](Index first, Index some) { add_input_gradient(weight, q, first, some); });
    });
    if (wanted(dx)) scatter<S>(dx_.data(), dx);
  }

 private:
  using Winner = typename Lanes<S>::Number;  // place in the window, or after the last for none

  static std::size_t size(Index n) { return static_cast<std::size_t>(n); }

  /// Pixels at a time: whole windows, near a multiple of the tiles.
  [[nodiscard]] Index panel() const {
    return std::max<Index>(20 / shape_.window_pixels(), 1) * shape_.window_pixels();
  }
  [[nodiscard]] Index chunk() const { return 4 * panel(); }

  template <class Body>
  static void for_each_block(Index begin, Index end, Index block, const Body& body) {
    for (Index q = begin; q < end; q += block) body(q, std::min(block, end - q));
  }

  /// y and the winners of one channel in these pixels. The first of the largest wins, a NaN is
  /// larger than all. (Out of line, as a tile of the product; so is unpool.)
  [[gnu::noinline]] void pool(Activation activation, Index begin, Index channel, Index q,
                              Index count) {
    const bool relu = activation == Activation::relu;
    const auto pixels = static_cast<int>(shape_.window_pixels());
    const Index first = channel * shape_.windows() + q / pixels;
    const Element* pre = &pre_[size(channel * chunk())];
    Element* y = &y_[size(first)];
    Winner* winner = winners(begin) + first;
    for (Index w = 0; w < count / pixels; ++w, pre += pixels) {
      Element largest = relu ? Element{} : pre[0];
      Winner number = Winner{} + (relu ? pixels : 0);
      for (int k = 0; k < pixels; ++k) {
        const Winner above = pre[k] > largest, is_nan = pre[k] != pre[k];
        const Winner larger = above | is_nan;
        largest = larger ? pre[k] : largest;
        number = larger ? Winner{} + k : number;
      }
      y[w] = largest;
      winner[w] = number;
    }
  }

  /// Sets dpre of one channel in these pixels and, if has_bias, adds it to dbias.
  [[gnu::noinline]] void unpool(bool has_bias, Index begin, Index channel, Index q, Index count) {
    const auto pixels = static_cast<int>(shape_.window_pixels());
    const Index first = channel * shape_.windows() + q / pixels;
    Element* dpre = &pre_[size(channel * chunk())];
    const Element* dy = &y_[size(first)];
    const Winner* winner = winners(begin) + first;
    const Element nothing{};
    Element sum = dbias_[size(channel)];
    for (Index w = 0; w < count / pixels; ++w, dpre += pixels) {
      const Winner number = winner[w];
      const Element of_winner = dy[w];
      for (int k = 0; k < pixels; ++k) dpre[k] = number == k ? of_winner : nothing;
      if (has_bias) sum += number == pixels ? nothing : of_winner;
    }
    dbias_[size(channel)] = sum;
  }

  /// Of each output of the tile that begins with this example.
  Winner* winners(Index begin) { return &winner_[size(begin / examples * shape_.out_features())]; }

  void add_weight_gradient(Index q, Index count) {
    OffsetProduct<Element, Element>{.rows = shape_.out_channels,
                                    .columns = shape_.taps(),
                                    .terms = count,
                                    .out = dweight_.data(),
                                    .out_row = shape_.taps(),
                                    .out_offset = identity_.data(),
                                    .factor = pre_.data(),
                                    .factor_row = chunk(),
                                    .factor_step = 1,
                                    .x = x_.data(),
                                    .x_offset = tap_.data(),
                                    .x_step = &pixel_[size(q)]}
        .run();
  }

  /// Of `count` pixels from `first` in the chunk at q. One product for each place in the kernel:
  /// rows are input channels, terms output channels.
  void add_input_gradient(const Matrix<S>& weight, Index q, Index first, Index count) {
    for (Index i = 0; i < shape_.kernel; ++i) {
      for (Index j = 0; j < shape_.kernel; ++j) {
        OffsetProduct<Element, S>{.rows = shape_.in_channels,
                                  .columns = count,
                                  .terms = shape_.out_channels,
                                  .out = &dx_[size(i * shape_.width + j)],
                                  .out_row = shape_.height * shape_.width,
                                  .out_offset = &pixel_[size(q + first)],
                                  .factor = weight.data() + i * shape_.kernel + j,
                                  .factor_row = shape_.kernel * shape_.kernel,
                                  .factor_step = shape_.taps(),
                                  .x = &pre_[size(first)],
                                  .x_offset = identity_.data(),
                                  .x_step = channel_.data()}
            .run();
      }
    }
  }

  ConvShape shape_;
  Index tiles_;
  std::vector<Index> pixel_, tap_;         // see above
  std::vector<Index> identity_, channel_;  // 0, 1, 2...; where each output channel begins in pre_
  std::vector<Element> x_, dx_, y_;        // y_: y or dy
  std::vector<Element> pre_;               // one chunk of all channels, of pre or of dpre
  std::vector<Winner> winner_;
  Vector<S> start_;  // the bias, or zeros
  std::vector<Element> dweight_, dbias_;
};

}  // namespace selgate::kernel
