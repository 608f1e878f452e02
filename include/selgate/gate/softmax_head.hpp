// SPDX-License-Identifier: MIT
#pragma once

#include <selgate/gate/head.hpp>
#include <selgate/math/softmax.hpp>

namespace selgate {

struct SoftmaxOptions {
  Index in_features = 0;      // of a per-example gate; ignored by a static one
  Index num_experts = 0;      // n >= 1
  bool bias = true;           // of a per-example gate
  double logit_range = 0.05;  // static logits start U(+-logit_range); >= 0
};

/// w = softmax(z): every expert, always (the gate of multi-gate mixtures; Ma et al., 2018).
///
/// Backward: dz = w .* (dw - <w, dw>). A weight is exactly 0 only where its logit is -inf or lies
/// more than the exponential's range below the largest, and then dz is 0 too.
/// Cost per column: 4n forward, 5n backward.
template <class S>
class SoftmaxHead {
 public:
  using Scalar = S;
  using Options = SoftmaxOptions;
  using Gradient = Empty;
  struct Cache {
    HeadDoor door;
    Vector<S> column, dcolumn;  // scratch: n
  };

  /// Throws config_error for num_experts < 1.
  explicit SoftmaxHead(const SoftmaxOptions& options) : options_(options) {
    detail::require_experts("softmax gate", options.num_experts, 1);
    detail::require_not_negative("softmax gate: logit_range", options.logit_range);
  }

  [[nodiscard]] const Options& options() const { return options_; }
  [[nodiscard]] Index num_experts() const { return options_.num_experts; }
  [[nodiscard]] Index num_logits() const { return options_.num_experts; }
  [[nodiscard]] bool sums_to_one() const { return true; }
  [[nodiscard]] RowGroups row_groups() const {
    const double range = detail::glorot_range(options_.in_features, num_experts());
    return {{0, {num_experts()}, "b", "A", "b", options_.logit_range, range, 0}};
  }

  Cache make_cache(Index max_columns) const {
    return {.door = {*this, max_columns},
            .column = Vector<S>(num_experts()),
            .dcolumn = Vector<S>(num_experts())};
  }
  Gradient make_gradient() const { return {}; }

  void forward(const Context&, const In<S>& logits, GateOutput<S>& weights, Cache& cache) const {
    cache.door.begin_forward(*this, "softmax gate", logits, weights);
    for (Index c = 0; c < logits.cols(); ++c) {
      const S* z = logits.col(c).data();
      const Index n = num_experts();
      const bool dense = weights.storage() == Storage::dense;
      S* w = dense ? weights.dense().col(c).data() : cache.column.data();
      if (!softmax(z, n, w)) detail::throw_bad_softmax("softmax gate", z, n, c);
      if (!dense) {
        weights.routing().push_non_zeros(w, n);
        weights.routing().end_column();
      }
    }
    cache.door.end_forward(logits.cols());
  }

  void backward(const Context&, const In<S>& logits, const GateOutput<S>& weights,
                const GateOutput<S>& dweights, double, Out<S> dlogits, Gradient&,
                Cache& cache) const {
    cache.door.begin_backward(*this, "softmax gate", logits, weights, dweights, dlogits);
    for (Index c = 0; c < logits.cols(); ++c) {
      softmax_gradient(column_of(weights, c, cache.column), column_of(dweights, c, cache.dcolumn),
                       num_experts(), dlogits.col(c).data());
    }
  }

  double regularization(const Context&, double, const Cache&) const { return 0; }

  [[nodiscard]] Flops flops(Index columns, const Cache& cache) const {
    cache.door.require_room(*this, "softmax gate", columns);
    const std::int64_t n = num_experts();
    return {.forward = 4 * n * columns, .backward = 5 * n * columns};
  }

  template <class F, class... M>
  static void visit(F&&, M&...) {}

 private:
  /// All n values of a column, in scratch if a routing leaves some out: both storages add in the
  /// same order.
  static const S* column_of(const GateOutput<S>& weights, Index c, Vector<S>& scratch) {
    if (weights.storage() == Storage::dense) return weights.dense().col(c).data();
    const auto experts = weights.routing().experts(c);
    const auto values = weights.routing().weights(c);
    if (static_cast<Index>(experts.size()) == scratch.size()) return values.data();
    scratch.setZero();
    for (std::size_t i = 0; i < experts.size(); ++i) scratch[experts[i]] = values[i];
    return scratch.data();
  }

  Options options_;
};

}  // namespace selgate
