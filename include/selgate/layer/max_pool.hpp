// SPDX-License-Identifier: MIT
#pragma once

#include <selgate/core/concepts.hpp>
#include <selgate/math/kernel/gather.hpp>

#include <algorithm>
#include <vector>

namespace selgate {

struct MaxPoolOptions {
  Index channels = 1;  // >= 1
  Index height = 0;    // >= size
  Index width = 0;     // >= size
  Index size = 2;      // >= 1, of a size x size window
};

/// y(c, h, w) = the largest of x(c, size h + i, size w + j), 0 <= i, j < size.
///
/// Windows do not overlap; rows and columns that fill none are left out. Images lie in columns as
/// conv2d.hpp has them. A NaN in the window gives NaN.
///
/// Backward: dx += dy at the first entry of the window, row by row, that is not below y, and += 0
/// at the others, so that every window costs the same. This needs nothing beyond x and y.
///
/// Examples lie in lanes (math/kernel/gather.hpp), where a maximum costs no branch.
/// Throws config_error for an option outside its range.
template <class S>
class MaxPool {
  using Element = typename kernel::Lanes<S>::Element;

 public:
  using Scalar = S;
  using Gradient = Empty;
  struct Cache {
    std::vector<Element> x, dx, y, dy;  // one channel of the examples in the lanes, scratch
  };

  explicit MaxPool(const MaxPoolOptions& options) : options_(options) {
    require(options.channels >= 1, "MaxPool: channels", ">= 1", options.channels);
    require(options.size >= 1, "MaxPool: size", ">= 1", options.size);
    const std::string at_least_size = ">= size = " + to_text(options.size);
    require(options.height >= options.size, "MaxPool: height", at_least_size, options.height);
    require(options.width >= options.size, "MaxPool: width", at_least_size, options.width);
    require_countable("MaxPool: pixels", options.height, options.width);
    require_countable("MaxPool: image", options.channels, options.height * options.width);
  }

  [[nodiscard]] const MaxPoolOptions& options() const { return options_; }
  [[nodiscard]] Index out_height() const { return options_.height / options_.size; }
  [[nodiscard]] Index out_width() const { return options_.width / options_.size; }
  [[nodiscard]] Index in_features() const {
    return options_.channels * options_.height * options_.width;
  }
  [[nodiscard]] Index out_features() const {
    return options_.channels * out_height() * out_width();
  }

  Cache make_cache(Index) const {
    const auto in = static_cast<std::size_t>(in_channel());
    const auto out = static_cast<std::size_t>(out_channel());
    return {std::vector<Element>(in), std::vector<Element>(in), std::vector<Element>(out),
            std::vector<Element>(out)};
  }
  Gradient make_gradient() const { return {}; }

  void forward(const Context&, const In<S>& x, Out<S> y, Cache& cache) const {
    require_forward_shapes(*this, "MaxPool", x, y);
    require_own(cache);
    for_each_tile(x.cols(), [&](auto in, auto out) {
      kernel::gather<S>(in(x), cache.x.data());
      pool(cache.x.data(), cache.y.data());
      kernel::scatter<S>(cache.y.data(), out(y));
    });
  }

  void backward(const Context&, const In<S>& x, const In<S>& y, const In<S>& dy, Out<S> dx,
                Gradient&, Cache& cache) const {
    require_backward_shapes(*this, "MaxPool", x, y, dy, dx);
    require_own(cache);
    if (!wanted(dx)) return;
    for_each_tile(x.cols(), [&](auto in, auto out) {
      kernel::gather<S>(in(x), cache.x.data());
      kernel::gather<S>(in(dx), cache.dx.data());
      kernel::gather<S>(out(y), cache.y.data());
      kernel::gather<S>(out(dy), cache.dy.data());
      unpool(cache.x.data(), cache.y.data(), cache.dy.data(), cache.dx.data());
      kernel::scatter<S>(cache.dx.data(), in(dx));
    });
  }

  double regularization(const Context&, const Cache&) const { return 0; }

  [[nodiscard]] Flops flops(Index columns, const Cache&) const {
    return {.input_gradient = options_.size * options_.size * out_features() * columns};
  }

  template <class F, class... M>
  static void visit(F&&, M&...) {}

 private:
  void require_own(const Cache& cache) const {
    require_cache("MaxPool", "pixels", in_channel(), static_cast<Index>(cache.x.size()));
    require_cache("MaxPool", "windows", out_channel(), static_cast<Index>(cache.y.size()));
  }
  [[nodiscard]] Index in_channel() const { return options_.height * options_.width; }
  [[nodiscard]] Index out_channel() const { return out_height() * out_width(); }

  /// tile(in, out) for each channel of as many examples as there are lanes; in(x) and out(y) are
  /// that part of x and of y.
  template <class Tile>
  void for_each_tile(Index columns, const Tile& tile) const {
    constexpr Index lanes = kernel::Lanes<S>::count;
    for (Index b = 0; b < columns; b += lanes) {
      const Index count = std::min(lanes, columns - b);
      for (Index c = 0; c < options_.channels; ++c) {
        auto in = [&](auto& x) { return x.block(c * in_channel(), b, in_channel(), count); };
        auto out = [&](auto& y) { return y.block(c * out_channel(), b, out_channel(), count); };
        tile(in, out);
      }
    }
  }

  /// window(entry of y, first entry of x) for each window of a channel.
  template <class Window>
  void for_each_window(const Window& window) const {
    Index out = 0;
    for (Index h = 0; h < out_height(); ++h) {
      for (Index w = 0; w < out_width(); ++w) {
        window(out++, (h * options_.width + w) * options_.size);
      }
    }
  }

  void pool(const Element* x, Element* y) const {
    for_each_window([&](Index out, Index in) {
      Element largest = x[in];
      for (Index i = 0; i < options_.size; ++i) {
        for (Index j = 0; j < options_.size; ++j) {
          const Element& entry = x[in + i * options_.width + j];
          largest = entry > largest ? entry : largest;
          largest = entry != entry ? entry : largest;
        }
      }
      y[out] = largest;
    });
  }

  void unpool(const Element* x, const Element* y, const Element* dy, Element* dx) const {
    for_each_window([&](Index out, Index in) {
      const Element nothing{};
      Element rest = dy[out];
      for (Index i = 0; i < options_.size; ++i) {
        for (Index j = 0; j < options_.size; ++j) {
          const Index at = in + i * options_.width + j;
          const auto below = x[at] < y[out];
          dx[at] += below ? nothing : rest;
          rest = below ? rest : nothing;
        }
      }
    });
  }

  MaxPoolOptions options_;
};

}  // namespace selgate
