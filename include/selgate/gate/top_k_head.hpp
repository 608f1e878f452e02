// SPDX-License-Identifier: MIT
#pragma once

#include <selgate/gate/head.hpp>
#include <selgate/math/softmax.hpp>
#include <selgate/math/top_k.hpp>

namespace selgate {

/// softmax_of_kept: keep the k largest logits, then softmax over them (Shazeer et al., 2017; what
/// the DSelect-k paper compares with). kept_of_softmax: softmax over all n, then keep the k
/// largest, not renormalised (Switch, V-MoE), which trains the gate at k = 1 as well.
enum class TopKOrder { softmax_of_kept, kept_of_softmax };

struct TopKOptions {
  Index in_features = 0;  // of a per-example gate; ignored by a static one
  Index num_experts = 0;  // n >= 1
  Index k = 1;            // 1..n
  TopKOrder order = TopKOrder::softmax_of_kept;
  bool bias = true;           // of a per-example gate
  double logit_range = 0.05;  // static logits start U(+-logit_range): nearly tied, to explore
};

/// k experts a column (less where a kept logit is -inf or its exponential underflows); among equal
/// logits the lowest index is kept.
///
/// softmax_of_kept  w_e = exp(z_e) / sum over kept of exp(z): dz = w .* (dw - <w, dw>) on the kept.
/// kept_of_softmax  w_e = p_e on the kept, p = softmax(z):    dz = w .* dw - p <w, dw>, for all n.
/// Both are derivatives of the branch taken; the weights jump where two logits swap places. With
/// k = 1 the weights of softmax_of_kept are the constant 1 and its gradient is exactly 0.
template <class S>
class TopKHead {
 public:
  using Scalar = S;
  using Options = TopKOptions;
  using Gradient = Empty;
  struct Cache {
    HeadDoor door;
    Matrix<std::int32_t> kept;  // k x max_columns
    Matrix<S> probabilities;            // n x max_columns for kept_of_softmax, else 0 x max_columns
    Vector<S> w, dw;                    // scratch: k
    kernel::TopKTile<S> tile;           // scratch
  };

  /// Throws config_error unless 1 <= k <= n.
  explicit TopKHead(const TopKOptions& options) : options_(options) {
    detail::require_experts("top-k gate", options.num_experts, options.k);
    detail::require_not_negative("top-k gate: logit_range", options.logit_range);
  }

  [[nodiscard]] const Options& options() const { return options_; }
  [[nodiscard]] Index num_experts() const { return options_.num_experts; }
  [[nodiscard]] Index num_logits() const { return options_.num_experts; }
  [[nodiscard]] Index k() const { return options_.k; }
  /// Another k, at inference say; a cache grows or shrinks with the next forward. Throws
  /// config_error unless 1 <= k <= n.
  void set_k(Index k) {
    detail::require_experts("top-k gate", options_.num_experts, k);
    options_.k = k;
  }
  [[nodiscard]] bool sums_to_one() const {
    return options_.order == TopKOrder::softmax_of_kept || options_.k == options_.num_experts;
  }
  [[nodiscard]] RowGroups row_groups() const {
    const double range = detail::glorot_range(options_.in_features, num_experts());
    return {{0, {num_experts()}, "b", "A", "b", options_.logit_range, range, 0}};
  }

  Cache make_cache(Index max_columns) const {
    return {.door = {*this, max_columns},
            .kept = Matrix<std::int32_t>(k(), max_columns),
            .probabilities = Matrix<S>(num_probabilities(), max_columns),
            .w = Vector<S>(k()),
            .dw = Vector<S>(k()),
            .tile = kernel::TopKTile<S>(k())};
  }
  Gradient make_gradient() const { return {}; }

  void forward(const Context&, const In<S>& logits, GateOutput<S>& weights, Cache& cache) const {
    cache.door.require_room(*this, "top-k gate", logits.cols());
    if (cache.kept.rows() != k() || cache.probabilities.rows() != num_probabilities()) {
      cache = make_cache(cache.kept.cols());
    }
    cache.door.begin_forward(*this, "top-k gate", logits, weights);
    const Index n = num_experts();
    const bool numbers = top_k(logits, k(), cache.kept.data(), cache.tile);
    const auto is_number = [](const S& value) { return value == value; };
    if (weights.storage() == Storage::dense) weights.dense().setZero();
    S* w = cache.w.data();
    for (Index c = 0; c < logits.cols(); ++c) {
      const S* z = logits.col(c).data();
      const std::int32_t* kept = cache.kept.col(c).data();
      if ((!numbers && !std::all_of(z, z + n, is_number)) ||
          !set_kept(z, kept, cache.probabilities.col(c).data(), w)) {
        detail::throw_bad_softmax("top-k gate", z, n, c);
      }
      if (weights.storage() == Storage::dense) {
        for (Index i = 0; i < k(); ++i) weights.dense()(kept[i], c) = w[i];
      } else {
        for (Index i = 0; i < k(); ++i) {
          if (w[i] != S(0)) weights.routing().push(kept[i], w[i]);
        }
        weights.routing().end_column();
      }
    }
    cache.door.end_forward(logits.cols());
  }

  void backward(const Context&, const In<S>& logits, const GateOutput<S>& weights,
                const GateOutput<S>& dweights, double, Out<S> dlogits, Gradient&,
                Cache& cache) const {
    cache.door.begin_backward(*this, "top-k gate", logits, weights, dweights, dlogits);
    const Index count = cache.kept.rows();  // the k of that forward, and its order
    const bool all = cache.probabilities.rows() != 0;
    for (Index c = 0; c < logits.cols(); ++c) {
      const auto kept = cache.kept.col(c);
      const S* w = values_of(weights, c, kept, cache.w);
      const S* dw = values_of(dweights, c, kept, cache.dw);
      const S dot = detail::dot(w, dw, count);
      S* dz = dlogits.col(c).data();
      if (!all) {
        for (Index i = 0; i < count; ++i) dz[kept[i]] += w[i] * (dw[i] - dot);
      } else {
        const S* p = cache.probabilities.col(c).data();
        for (Index i = 0; i < count; ++i) dz[kept[i]] += w[i] * dw[i];
        for (Index e = 0; e < num_experts(); ++e) dz[e] -= p[e] * dot;
      }
    }
  }

  double regularization(const Context&, double, const Cache&) const { return 0; }

  [[nodiscard]] Flops flops(Index columns, const Cache& cache) const {
    cache.door.require_room(*this, "top-k gate", columns);
    const bool all = options_.order == TopKOrder::kept_of_softmax;
    const std::int64_t n = num_experts();
    return {.forward = 4 * (all ? n : k()) * columns,
            .backward = (all ? 4 * k() + 2 * n : 5 * k()) * columns};
  }

  template <class F, class... M>
  static void visit(F&&, M&...) {}
  template <class F>
  void visit_state(F&& f) const {
    f("k", options_.k, &TopKHead::set_k);
  }

 private:
  [[nodiscard]] Index num_probabilities() const {
    return options_.order == TopKOrder::kept_of_softmax ? num_experts() : 0;
  }
  /// One column's weights of the kept, and p for kept_of_softmax. Returns false if there are none.
  bool set_kept(const S* z, const std::int32_t* kept, S* p, S* w) const {
    const bool all = options_.order == TopKOrder::kept_of_softmax;
    if (all && !softmax(z, num_experts(), p)) return false;
    for (Index i = 0; i < k(); ++i) w[i] = all ? p[kept[i]] : z[kept[i]];
    return all || softmax(w, k(), w);
  }
  /// The values of the kept in a column, in scratch unless a routing has them all side by side; 0
  /// for one that is not in the support. Both storages add in the same order.
  template <class Kept>
  static const S* values_of(const GateOutput<S>& weights, Index c, const Kept& kept,
                            Vector<S>& scratch) {
    if (weights.storage() == Storage::dense) {
      for (Index i = 0; i < kept.size(); ++i) scratch[i] = weights.dense()(kept[i], c);
      return scratch.data();
    }
    const auto values = weights.routing().weights(c);
    if (static_cast<Index>(values.size()) == kept.size()) return values.data();
    for (Index i = 0; i < kept.size(); ++i) scratch[i] = weights.weight(kept[i], c);
    return scratch.data();
  }

  Options options_;
};

}  // namespace selgate
