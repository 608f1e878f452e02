// SPDX-License-Identifier: MIT
#pragma once

#include <selgate/core/concepts.hpp>
#include <selgate/math/activation.hpp>
#include <selgate/math/kernel/conv.hpp>

#include <algorithm>
#include <cmath>

namespace selgate {

struct Conv2dOptions {
  Index in_channels = 1;   // >= 1
  Index height = 0;        // >= kernel
  Index width = 0;         // >= kernel
  Index out_channels = 0;  // >= 1
  Index kernel = 0;        // >= 1, of a kernel x kernel window
  bool bias = true;
  Activation activation = Activation::identity;
  Index pool = 1;  // 1..min(height, width) - kernel + 1, of a pool x pool window; 1: no pooling
};

/// Images by a square window, stride 1, no padding ("valid"), max-pooled:
///
///   pre(o, h, w) = b(o) + sum over c, i, j of W(o, c, i, j) x(c, h + i, w + j)
///   y(o, h, w)   = the largest of activation(pre(o, pool h + i, pool w + j)), 0 <= i, j < pool
///
/// for h in 0..height-kernel and w in 0..width-kernel of pre. Pooling windows do not overlap; rows
/// and columns that fill none are left out. A NaN in the window gives NaN. An image is one column,
/// channel after channel and row after row: the bytes of PyTorch's NCHW.
///
/// Backward: dpre = dy activation' at the first of the largest in the window, else 0. With sums
/// over the places (h, w) of pre and the examples,
///   dW(o, c, i, j) += sum of x(c, h + i, w + j) dpre(o, h, w),  db(o) += sum of dpre(o, h, w),
///   dx(c, h + i, w + j) += sum over o of W(o, c, i, j) dpre(o, h, w).
///
/// Weights start Glorot-uniform, U(+-sqrt(6 / (fan_in + fan_out))) with fan_in = in_channels
/// kernel^2 and fan_out = out_channels kernel^2, biases at zero (TensorFlow's defaults). In a file
/// `weight` (out, in, kernel, kernel) and `bias` (out): PyTorch's nn.Conv2d, byte for byte.
///
/// float and double run math/kernel/conv.hpp on several examples at once (8 floats with AVX2), so a
/// batch of one costs as much as a full set of lanes. There pooling costs little; a MaxPool layer
/// behind would write, read and differentiate pool^2 times as many outputs. An example's y and dx
/// have the same bits at any place of any batch. Throws config_error for an option outside its
/// range.
template <class S>
class Conv2d {
 public:
  using Scalar = S;
  using Gradient = Conv2d;
  struct Cache {
    kernel::ConvTile<S> tile;
    Index batch = -1;  // of the last forward
  };

  Conv2d(const Conv2dOptions& options, Rng& rng) : Conv2d(options) {
    const Index fans =
        (options.in_channels + options.out_channels) * options.kernel * options.kernel;
    const double range = std::sqrt(6.0 / static_cast<double>(fans));
    fill_uniform(weight, -range, range, rng);
  }

  [[nodiscard]] const Conv2dOptions& options() const { return options_; }
  [[nodiscard]] Index out_height() const { return shape().out_height(); }
  [[nodiscard]] Index out_width() const { return shape().out_width(); }
  [[nodiscard]] Index in_features() const { return shape().in_features(); }
  [[nodiscard]] Index out_features() const { return shape().out_features(); }

  Cache make_cache(Index max_batch) const {
    require_countable("Conv2d: outputs of a batch", out_features(), max_batch);
    return {kernel::ConvTile<S>(shape(), max_batch)};
  }
  Gradient make_gradient() const { return Conv2d(options_); }

  void forward(const Context&, const In<S>& x, Out<S> y, Cache& cache) const {
    require_forward_shapes(*this, "Conv2d", x, y);
    require_room(cache, x.cols());
    cache.batch = -1;  // until the last tile is done
    for_each_tile(x.cols(), [&](Index begin, Index count) {
      cache.tile.forward(weight, bias, options_.activation, begin, x.middleCols(begin, count),
                         y.middleCols(begin, count));
    });
    cache.batch = x.cols();
  }

  void backward(const Context&, const In<S>& x, const In<S>& y, const In<S>& dy, Out<S> dx,
                Gradient& gradient, Cache& cache) const {
    require_backward_shapes(*this, "Conv2d", x, y, dy, dx);
    require_room(cache, x.cols());
    require_same_batch("Conv2d", cache.batch, x.cols());
    require_gradient("Conv2d: weight", weight, gradient.weight);
    require_gradient("Conv2d: bias", bias, gradient.bias);
    cache.tile.begin_gradient(gradient.weight, gradient.bias);
    for_each_tile(x.cols(), [&](Index begin, Index count) {
      cache.tile.backward(weight, options_.bias, begin, x.middleCols(begin, count),
                          dy.middleCols(begin, count),
                          wanted(dx) ? Out<S>(dx.middleCols(begin, count)) : not_wanted<S>());
    });
    cache.tile.end_gradient(gradient.weight, gradient.bias);
  }

  double regularization(const Context&, const Cache&) const { return 0; }

  /// y starts at the bias, so the bias costs nothing forward.
  [[nodiscard]] Flops flops(Index columns, const Cache&) const {
    const std::int64_t product =
        2 * shape().taps() * options_.out_channels * shape().pixels() * columns;
    const std::int64_t biases = options_.bias ? out_features() * columns : 0;
    return {.forward = product, .backward = product + biases, .input_gradient = product};
  }

  template <class F, class... M>
  static void visit(F&& f, M&... m) {
    f("weight", no_index, leaf(m.weight, m.weight_shape())...);
    if ((m.options_.bias && ...)) f("bias", no_index, leaf(m.bias)...);
  }

  Matrix<S> weight;  // (in_channels kernel kernel) x out_channels
  Vector<S> bias;    // out_channels, or empty

 private:
  template <class>
  friend class Conv2d;

  explicit Conv2d(const Conv2dOptions& options) : options_(options) {
    require(options.in_channels >= 1, "Conv2d: in_channels", ">= 1", options.in_channels);
    require(options.out_channels >= 1, "Conv2d: out_channels", ">= 1", options.out_channels);
    require(options.kernel >= 1, "Conv2d: kernel", ">= 1", options.kernel);
    const std::string at_least_kernel = ">= kernel = " + to_text(options.kernel);
    require(options.height >= options.kernel, "Conv2d: height", at_least_kernel, options.height);
    require(options.width >= options.kernel, "Conv2d: width", at_least_kernel, options.width);
    const Index most = std::min(options.height, options.width) - options.kernel + 1;
    require(1 <= options.pool && options.pool <= most, "Conv2d: pool", "1.." + to_text(most),
            options.pool);
    require_countable("Conv2d: pixels", options.height, options.width);
    const Index image = options.height * options.width;
    require_countable("Conv2d: image", options.in_channels, image);
    require_countable("Conv2d: outputs", options.out_channels, image);
    require_countable("Conv2d: weight", shape().taps(), options.out_channels);
    weight = Matrix<S>::Zero(shape().taps(), options.out_channels);
    bias = Vector<S>::Zero(options.bias ? options.out_channels : 0);
  }

  void require_room(const Cache& cache, Index batch) const {
    if (cache.tile.shape() != shape()) {
      throw state_error("Conv2d: cache: expected one of a layer of this shape, got another's");
    }
    require_capacity("Conv2d", cache.tile.capacity(), batch);
  }
  kernel::ConvShape shape() const {
    return {options_.in_channels,  options_.height, options_.width,
            options_.out_channels, options_.kernel, options_.pool};
  }
  Shape weight_shape() const {
    return {options_.out_channels, options_.in_channels, options_.kernel, options_.kernel};
  }

  /// tile(first column, number of columns) for as many columns at a time as fit the lanes.
  template <class Tile>
  static void for_each_tile(Index columns, const Tile& tile) {
    constexpr Index examples = kernel::ConvTile<S>::examples;
    for (Index begin = 0; begin < columns; begin += examples) {
      tile(begin, std::min(examples, columns - begin));
    }
  }

  Conv2dOptions options_;
};

}  // namespace selgate
