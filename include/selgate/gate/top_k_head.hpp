// SPDX-License-Identifier: MIT
#pragma once

#include <selgate/gate/head.hpp>
#include <selgate/math/softmax.hpp>
#include <selgate/math/top_k.hpp>

namespace selgate {

/// softmax_of_kept: keep the k largest logits, then softmax over them (Shazeer et al., 2017; what the
/// DSelect-k paper compares with). kept_of_softmax: softmax over all n, then keep the k largest, not
/// renormalised (Switch, V-MoE), which trains the gate at k = 1 as well.
enum class TopKOrder { softmax_of_kept, kept_of_softmax };

struct TopKOptions {
  Index in_features = 0;      // of a per-example gate; ignored by a static one
  Index num_experts = 0;      // n >= 1
  Index k = 1;                // 1..n
  TopKOrder order = TopKOrder::softmax_of_kept;
  bool bias = true;           // of a per-example gate
  double logit_range = 0.05;  // static logits start U(+-logit_range): nearly tied, or it cannot explore
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
    Index columns = -1;  // of the last forward
    Eigen::Matrix<std::int32_t, Eigen::Dynamic, Eigen::Dynamic> kept;  // n x max_columns; k rows used
    Matrix<S> probabilities;  // n x max_columns for kept_of_softmax, n x 1 scratch else
    Vector<S> kept_logits, dkept;  // n, scratch: k used
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
  /// Another k, at inference say. Throws config_error unless 1 <= k <= n.
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
    const bool all = options_.order == TopKOrder::kept_of_softmax;
    return {.kept = decltype(Cache::kept)(num_experts(), max_columns),
            .probabilities = Matrix<S>(all ? num_experts() : 0, max_columns),
            .kept_logits = Vector<S>(num_experts()),
            .dkept = Vector<S>(num_experts())};
  }
  Gradient make_gradient() const { return {}; }

  void forward(const Context&, const In<S>& logits, GateOutput<S>& weights, Cache& cache) const {
    detail::require_logits(*this, "top-k gate", logits);
    require_capacity("top-k gate", cache.kept.cols(), logits.cols());
    const Index n = num_experts();
    weights.begin(logits.cols());
    cache.columns = -1;  // until the last column is done
    if (weights.storage() == Storage::dense) weights.dense().setZero();
    for (Index c = 0; c < logits.cols(); ++c) {
      const S* z = logits.col(c).data();
      std::int32_t* kept = cache.kept.col(c).data();
      for (Index e = 0; e < n; ++e) {
        if (z[e] != z[e]) detail::throw_bad_softmax("top-k gate", z, n, c);
      }
      top_k(z, n, k(), kept);
      S* w = cache.kept_logits.data();
      bool ok;
      if (options_.order == TopKOrder::softmax_of_kept) {
        for (Index i = 0; i < k(); ++i) w[i] = z[kept[i]];
        ok = softmax(w, k(), w);
      } else {
        S* p = cache.probabilities.col(c).data();
        ok = softmax(z, n, p);
        for (Index i = 0; i < k(); ++i) w[i] = p[kept[i]];
      }
      if (!ok) detail::throw_bad_softmax("top-k gate", z, n, c);
      if (weights.storage() == Storage::dense) {
        for (Index i = 0; i < k(); ++i) weights.dense()(kept[i], c) = w[i];
      } else {
        for (Index i = 0; i < k(); ++i) {
          if (w[i] != S(0)) weights.routing().push(kept[i], w[i]);
        }
        weights.routing().end_column();
      }
    }
    cache.columns = logits.cols();
  }

  void backward(const Context&, const In<S>& logits, const GateOutput<S>& weights,
                const GateOutput<S>& dweights, double, Out<S> dlogits, Gradient&, Cache& cache) const {
    detail::require_backward(*this, "top-k gate", logits, cache.columns);
    const bool dense = weights.storage() == Storage::dense;
    for (Index c = 0; c < logits.cols(); ++c) {
      const std::int32_t* kept = cache.kept.col(c).data();
      Index count = k();
      const S* w = cache.kept_logits.data();
      const S* dw = cache.dkept.data();
      if (dense) {
        for (Index i = 0; i < k(); ++i) {
          cache.kept_logits[i] = weights.dense()(kept[i], c);
          cache.dkept[i] = dweights.dense()(kept[i], c);
        }
      } else {
        kept = weights.routing().experts(c).data();
        count = static_cast<Index>(weights.routing().experts(c).size());
        w = weights.routing().weights(c).data();
        dw = dweights.routing().weights(c).data();
      }
      S dot(0);
      for (Index i = 0; i < count; ++i) dot += w[i] * dw[i];
      if (options_.order == TopKOrder::softmax_of_kept) {
        for (Index i = 0; i < count; ++i) dlogits(kept[i], c) += w[i] * (dw[i] - dot);
      } else {
        for (Index i = 0; i < count; ++i) dlogits(kept[i], c) += w[i] * dw[i];
        for (Index e = 0; e < num_experts(); ++e) {
          dlogits(e, c) -= cache.probabilities(e, c) * dot;
        }
      }
    }
  }

  double regularization(const Context&, double, const Cache&) const { return 0; }

  [[nodiscard]] Flops flops(Index columns, const Cache&) const {
    const bool all = options_.order == TopKOrder::kept_of_softmax;
    const std::int64_t n = num_experts();
    return {.forward = 4 * (all ? n : k()) * columns,
            .backward = (all ? 4 * k() + 2 * n : 5 * k()) * columns};
  }

  template <class F, class... M>
  static void visit(F&&, M&...) {}

 private:
  Options options_;
};

}  // namespace selgate
