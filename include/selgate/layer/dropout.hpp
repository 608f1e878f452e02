// SPDX-License-Identifier: MIT
#pragma once

#include <selgate/core/concepts.hpp>
#include <selgate/core/random.hpp>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>

namespace selgate {

struct DropoutOptions {
  Index features = 0;  // >= 1
  double rate = 0.5;   // in [0, 1): the share of units that become 0
};

/// Inverted dropout (Srivastava et al., 2014): y = x .* mask, where each mask entry is 0 with
/// probability `rate` and else 1 / (1 - rate), so that y has the mean x. In evaluation y = x.
///
/// The mask is a function of (seed, step, layer, example, unit), see Context: nothing is stored,
/// backward (dx += dy .* mask) computes it again, and an example meets the same mask wherever in
/// whatever batch it stands. Layers made one after another from one Rng have masks of their own.
/// `rate` acts in steps of 2^-16, and 1 / (1 - rate) is that of the step, so that the mean is
/// exact. Throws config_error for an option outside its range.
template <class S>
class Dropout {
 public:
  using Scalar = S;
  using Gradient = Empty;
  struct Cache {
    bool dropped = false;  // whether the last forward did
  };

  Dropout(const DropoutOptions& options, Rng& rng) : options_(options), stream_(rng.bits64()) {
    require(options.features >= 1, "Dropout: features", ">= 1", options.features);
    require(options.rate >= 0 && options.rate < 1, "Dropout: rate", "in [0, 1)", options.rate);
    dropped_of_65536_ =
        static_cast<std::uint32_t>(std::min(std::round(options.rate * 65536), 65535.0));
    mask_ = {static_cast<S>(65536.0 / (65536 - dropped_of_65536_)), S(0)};
  }

  [[nodiscard]] const DropoutOptions& options() const { return options_; }
  [[nodiscard]] Index in_features() const { return options_.features; }
  [[nodiscard]] Index out_features() const { return options_.features; }

  Cache make_cache(Index) const { return {}; }
  Gradient make_gradient() const { return {}; }

  void forward(const Context& context, const In<S>& x, Out<S> y, Cache& cache) const {
    require_forward_shapes(*this, "Dropout", x, y);
    cache.dropped = drops(context);
    if (!cache.dropped) {
      y = x;
      return;
    }
    for_each_unit(context, x.cols(),
                  [&](Index i, Index b, const S& mask) { y(i, b) = x(i, b) * mask; });
  }

  void backward(const Context& context, const In<S>& x, const In<S>& y, const In<S>& dy, Out<S> dx,
                Gradient&, Cache&) const {
    require_backward_shapes(*this, "Dropout", x, y, dy, dx);
    if (!wanted(dx)) return;
    if (!drops(context)) {
      dx += dy;
      return;
    }
    for_each_unit(context, dy.cols(),
                  [&](Index i, Index b, const S& mask) { dx(i, b) += dy(i, b) * mask; });
  }

  double regularization(const Context&, const Cache&) const { return 0; }

  [[nodiscard]] Flops flops(Index columns, const Cache& cache) const {
    const std::int64_t units = options_.features * columns;
    return {.forward = cache.dropped ? units : 0,
            .input_gradient = cache.dropped ? 2 * units : units};
  }

  template <class F, class... M>
  static void visit(F&&, M&...) {}

 private:
  [[nodiscard]] bool drops(const Context& context) const {
    return context.training() && dropped_of_65536_ != 0;
  }

  /// body(i, b, mask entry). Eight units share one draw, 16 bits each.
  template <class Body>
  void for_each_unit(const Context& context, Index columns, const Body& body) const {
    const Index features = options_.features;
    for (Index b = 0; b < columns; ++b) {
      auto mask = [&](const std::array<std::uint32_t, 4>& words, unsigned unit) {
        const std::uint32_t bits = words[unit / 2] >> (16 * (unit % 2)) & 0xFFFF;
        return mask_[bits < dropped_of_65536_ ? 1 : 0];
      };
      Index i = 0;
      for (; i + 8 <= features; i += 8) {
        const auto words = context.random(stream_, b, i / 8);
        for (unsigned unit = 0; unit < 8; ++unit) body(i + unit, b, mask(words, unit));
      }
      if (i == features) continue;
      const auto words = context.random(stream_, b, i / 8);
      for (unsigned unit = 0; i + unit < features; ++unit) body(i + unit, b, mask(words, unit));
    }
  }

  DropoutOptions options_;
  std::uint64_t stream_;
  std::uint32_t dropped_of_65536_ = 0;
  std::array<S, 2> mask_;  // of a unit that stays, that drops: a branch would often be mispredicted
};

}  // namespace selgate
