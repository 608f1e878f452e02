// SPDX-License-Identifier: MIT
#pragma once

#include <selgate/gate/head.hpp>
#include <selgate/math/softmax.hpp>

#include <algorithm>

namespace selgate {

struct SoftmaxSelectorOptions {
  Index in_features = 0;      // of a per-example gate; ignored by a static one
  Index num_experts = 0;      // n >= 1
  Index k = 1;                // 1..n selectors
  double temperature = 1;     // > 0; annealed towards 1e-16, or 1 with an entropy weight
  double entropy_weight = 0;  // lambda >= 0
  bool bias = true;           // of a per-example gate
  double logit_range = 0.05;  // alpha and beta start U(+-logit_range)
};

/// The ablation of the DSelect-k paper (appendix C.2): k selectors that are softmaxes over all n,
///
///   w = sum over i of a_i p_i,   a = softmax(alpha),   p_i = softmax(beta_i / temperature),
///
/// made sparse by cooling, or by the entropy regularizer lambda sum_i H(p_i). The k + k n logits of
/// a column are alpha, then beta_0, beta_1, ...
///
/// Backward, with dot_i = <p_i, dw>:  dalpha += a .* (dot - <a, dot>),
///   dbeta_i += p_i .* (g - <p_i, g>) / temperature,  g = a_i dw - scale lambda log p_i.
/// However cold, exactly tied logits stay split for ever (the paper's footnote 7); `harden` takes
/// the argmax, lowest index first.
template <class S>
class SoftmaxSelectorHead {
 public:
  using Scalar = S;
  using Options = SoftmaxSelectorOptions;
  using Gradient = Empty;
  struct Cache {
    HeadDoor door;
    Matrix<S> mix;        // k x max_columns
    Matrix<S> selectors;  // k n x max_columns: p_i
    Vector<S> dense;      // n, scratch: dw written out, or w before it is routed
    Vector<S> g;          // n, scratch
  };

  /// Throws config_error for values outside the ranges beside the options.
  explicit SoftmaxSelectorHead(const SoftmaxSelectorOptions& options) : options_(options) {
    detail::require_experts("softmax-selector gate", options.num_experts, options.k);
    set_temperature(options.temperature);
    detail::require_not_negative("softmax-selector gate: entropy_weight", options.entropy_weight);
    detail::require_not_negative("softmax-selector gate: logit_range", options.logit_range);
  }

  [[nodiscard]] const Options& options() const { return options_; }
  [[nodiscard]] Index num_experts() const { return options_.num_experts; }
  [[nodiscard]] Index k() const { return options_.k; }
  [[nodiscard]] Index num_logits() const { return k() + k() * num_experts(); }
  [[nodiscard]] bool sums_to_one() const { return true; }
  [[nodiscard]] RowGroups row_groups() const {
    const double range = options_.logit_range;
    return {{0, {k()}, "alpha", "G", "G_bias", range, range, range},
            {k(), {k(), num_experts()}, "beta", "B", "B_bias", range, range, range}};
  }

  /// For schedules. Throws config_error unless finite and > 0.
  void set_temperature(double temperature) {
    detail::require_positive("softmax-selector gate: temperature", temperature,
                             S(temperature) > S(0));
    options_.temperature = temperature;
  }
  /// From here on every selector is the one-hot code of its largest logit, and trains no more.
  /// `false`: back.
  void harden(bool hardened = true) { hardened_ = hardened; }
  [[nodiscard]] bool hardened() const { return hardened_; }

  Cache make_cache(Index max_columns) const {
    return {.door = {*this, max_columns},
            .mix = Matrix<S>(k(), max_columns),
            .selectors = Matrix<S>(k() * num_experts(), max_columns),
            .dense = Vector<S>(num_experts()),
            .g = Vector<S>(num_experts())};
  }
  Gradient make_gradient() const { return {}; }

  void forward(const Context&, const In<S>& logits, GateOutput<S>& weights, Cache& cache) const {
    cache.door.begin_forward(*this, "softmax-selector gate", logits, weights);
    const Index n = num_experts();
    for (Index c = 0; c < logits.cols(); ++c) {
      const S* z = logits.col(c).data();
      S* mix = cache.mix.col(c).data();
      bool ok = softmax(z, k(), mix);
      const bool dense = weights.storage() == Storage::dense;
      S* w = dense ? weights.dense().col(c).data() : cache.dense.data();
      std::fill(w, w + n, S(0));
      for (Index i = 0; i < k(); ++i) {
        const S* beta = z + k() + i * n;
        S* p = cache.selectors.col(c).data() + i * n;
        ok = softmax(beta, n, p, S(options_.temperature)) && ok;
        if (hardened_ && ok) make_one_hot(beta, p);
        for (Index e = 0; e < n; ++e) w[e] += mix[i] * p[e];
      }
      if (!ok) detail::throw_bad_softmax("softmax-selector gate", z, num_logits(), c);
      if (!dense) {
        weights.routing().push_non_zeros(w, n);
        weights.routing().end_column();
      }
    }
    cache.door.end_forward(logits.cols());
  }

  void backward(const Context& context, const In<S>& logits, const GateOutput<S>& weights,
                const GateOutput<S>& dweights, double scale, Out<S> dlogits, Gradient&,
                Cache& cache) const {
    cache.door.begin_backward(*this, "softmax-selector gate", logits, weights, dweights, dlogits);
    const Index n = num_experts();
    const double lambda = context.training() ? entropy_factor(context) * scale : 0;
    for (Index c = 0; c < logits.cols(); ++c) {
      const S* dw = cache.dense.data();
      if (weights.storage() == Storage::dense) {
        dw = dweights.dense().col(c).data();
      } else {
        cache.dense.setZero();
        const auto experts = weights.routing().experts(c);
        for (std::size_t i = 0; i < experts.size(); ++i) {
          cache.dense[experts[i]] = dweights.routing().weights(c)[i];
        }
      }
      const S* mix = cache.mix.col(c).data();
      S* dalpha = dlogits.col(c).data();
      S mean_dot(0);
      for (Index i = 0; i < k(); ++i) {
        const S* p = cache.selectors.col(c).data() + i * n;
        S dot(0);
        for (Index e = 0; e < n; ++e) dot += p[e] * dw[e];
        dalpha[i] += mix[i] * dot;
        mean_dot += mix[i] * dot;
        if (hardened_) continue;
        for (Index e = 0; e < n; ++e) {
          cache.g[e] = mix[i] * dw[e];
          if (lambda != 0 && p[e] != S(0)) cache.g[e] -= S(lambda) * log(p[e]);
        }
        softmax_gradient(p, cache.g.data(), n, dalpha + k() + i * n, S(options_.temperature));
      }
      for (Index i = 0; i < k(); ++i) dalpha[i] -= mix[i] * mean_dot;
    }
  }

  /// scale * lambda * sum over columns and selectors of the entropy; 0 outside training.
  accumulate_t<S> regularization(const Context& context, double scale, const Cache& cache) const {
    const double lambda = entropy_factor(context);
    accumulate_t<S> sum(0);
    if (!context.training() || lambda == 0) return sum;
    cache.door.require_room(*this, "softmax-selector gate", cache.door.columns());
    for (Index c = 0; c < cache.door.columns(); ++c) {
      for (Index e = 0; e < cache.selectors.rows(); ++e) {
        const S p = cache.selectors(e, c);
        if (p != S(0)) sum -= accumulate_t<S>(p * log(p));
      }
    }
    return accumulate_t<S>(scale * lambda) * sum;
  }

  [[nodiscard]] Flops flops(Index columns, const Cache& cache) const {
    cache.door.require_room(*this, "softmax-selector gate", columns);
    const std::int64_t selectors = k() * columns, n = num_experts();
    const std::int64_t cooling = options_.temperature == 1 ? 0 : n;
    return {.forward = selectors * (4 + 6 * n + cooling),
            .backward = selectors * (6 + 2 * n + (hardened_ ? 0 : 6 * n + cooling))};
  }

  template <class F, class... M>
  static void visit(F&&, M&...) {}
  template <class F>
  void visit_state(F&& f) const {
    f("temperature", options_.temperature, &SoftmaxSelectorHead::set_temperature);
    f("hardened", hardened_, &SoftmaxSelectorHead::harden);
  }

 private:
  double entropy_factor(const Context& context) const {
    return hardened_ ? 0 : options_.entropy_weight * context.entropy_factor;
  }
  void make_one_hot(const S* beta, S* p) const {
    const Index best = std::max_element(beta, beta + num_experts()) - beta;
    std::fill(p, p + num_experts(), S(0));
    p[best] = S(1);
  }

  Options options_;
  bool hardened_ = false;
};

}  // namespace selgate
