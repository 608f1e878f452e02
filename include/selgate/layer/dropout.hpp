// SPDX-License-Identifier: MIT
#pragma once

#include <selgate/core/concepts.hpp>
#include <selgate/layer/dropout_mask.hpp>

namespace selgate {

struct DropoutOptions {
  Index features = 0;  // >= 1
  double rate = 0.5;   // in [0, 1): the share of units that become 0
};

/// y = x .* mask in training, see DropoutMask; in evaluation y = x. Backward: dx += dy .* mask.
/// Layers made one after another from one Rng have masks of their own. Throws config_error for an
/// option outside its range.
template <class S>
class Dropout {
 public:
  using Scalar = S;
  using Gradient = Empty;
  struct Cache {
    bool dropped = false;  // whether the last forward did
  };

  Dropout(const DropoutOptions& options, Rng& rng)
      : options_(options), mask_("Dropout: rate", options.rate, rng.bits64()) {
    require(options.features >= 1, "Dropout: features", ">= 1", options.features);
  }

  [[nodiscard]] const DropoutOptions& options() const { return options_; }
  [[nodiscard]] Index in_features() const { return options_.features; }
  [[nodiscard]] Index out_features() const { return options_.features; }

  Cache make_cache(Index) const { return {}; }
  Gradient make_gradient() const { return {}; }

  void forward(const Context& context, const In<S>& x, Out<S> y, Cache& cache) const {
    require_forward_shapes(*this, "Dropout", x, y);
    cache.dropped = mask_.drops(context);
    if (!cache.dropped) {
      y = x;
      return;
    }
    for_each_block(context, x.cols(), [&](Index i, Index b, const auto& mask) {
      y.col(b).segment(i, mask.size()).array() = x.col(b).segment(i, mask.size()).array() * mask;
    });
  }

  void backward(const Context& context, const In<S>& x, const In<S>& y, const In<S>& dy, Out<S> dx,
                Gradient&, Cache&) const {
    require_backward_shapes(*this, "Dropout", x, y, dy, dx);
    if (!wanted(dx)) return;
    if (!mask_.drops(context)) {
      dx += dy;
      return;
    }
    for_each_block(context, dy.cols(), [&](Index i, Index b, const auto& mask) {
      dx.col(b).segment(i, mask.size()).array() += dy.col(b).segment(i, mask.size()).array() * mask;
    });
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
  /// body(i, b, mask of units i, i + 1... of the example in column b).
  template <class Body>
  void for_each_block(const Context& context, Index columns, const Body& body) const {
    for (Index b = 0; b < columns; ++b) {
      mask_.for_each_block(context, b, 0, options_.features,
                           [&](Index i, const auto& mask) { body(i, b, mask); });
    }
  }

  DropoutOptions options_;
  DropoutMask<S> mask_;
};

}  // namespace selgate
