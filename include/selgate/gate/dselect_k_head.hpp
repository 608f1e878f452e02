// SPDX-License-Identifier: MIT
#pragma once

#include <selgate/gate/dselect_k_options.hpp>
#include <selgate/gate/selector_regularizer.hpp>
#include <selgate/gate/head.hpp>
#include <selgate/math/entropy.hpp>
#include <selgate/math/softmax.hpp>

#include <algorithm>
#include <cmath>

namespace selgate {

/// DSelect-k (Hazimeh et al., 2021): k single-expert selectors r(s_i), s_i = S(z_i), mixed by a
/// softmax (eq. (5); per example eq. (6)),
///
///   w_e = sum over i of a_i r_e(s_i),      a = softmax(alpha).
///
/// The k + k m logits of a column are alpha, then the m bits of selector 0, of selector 1, ...
///
/// Backward, with u = dw read at the codes of selector i (0 where a code has no expert):
///   dot_i = <r(s_i), u>,   dalpha += a .* (dot - <a, dot>),
///   dz_ij += S'(z_ij) (a_i d dot_i / d s_ij + scale (lambda dH_i / ds_ij + xi d(1/mass_i) / ds_ij)).
/// An exactly binary bit has S' = 0: it is frozen for this column, and nothing outside the support is
/// ever read. Support is the set of codes compatible with the binary bits of some selector.
///
/// Cost per column: O(k (m + 2^f)), f fractional bits a selector, plus writing n zeros where the
/// storage is dense. Regularizers cost O(k m), whatever n.
///
/// Differs from the TensorFlow layer: least significant bit first, as in the paper (imported weights:
/// reverse_bit_order); regularizers are a mean over the batch, not a sum; exact entropy
/// without an epsilon; xi is an option; 1/mass is floored at mass 1e-6 (finite even on a code without
/// expert, where the paper's term and its gradient are infinite).
template <class S>
class DSelectKHead {
 public:
  using Scalar = S;
  using Options = DSelectKOptions;
  using Gradient = Empty;
  static constexpr bool has_few_logits = true;  // O(k log n): a linear map adds in a fixed order
  struct Cache {
    Index columns = -1;               // of the last forward
    Flops flops;                      // of its selectors, and of their backward
    Matrix<S> mix;                    // k x max_columns: softmax(alpha)
    std::vector<SmoothStep<S>> bits;  // k m of each column
    Vector<S> products, upstream, prefix;  // 2^m, scratch
    Vector<S> accumulator;                        // n, scratch of routing
    EntryList<S> entries;                         // scratch of routing
  };

  /// Throws config_error for values outside the ranges beside the options.
  explicit DSelectKHead(const DSelectKOptions& options)
      : options_(detail::checked(options)),
        codes_(options.num_experts, options.spare_codes, options.spare_seed) {
    set_gamma(options.gamma);
  }

  [[nodiscard]] const Options& options() const { return options_; }
  [[nodiscard]] Index num_experts() const { return options_.num_experts; }
  [[nodiscard]] Index k() const { return options_.k; }
  /// m = ceil(log2 n).
  [[nodiscard]] int num_bits() const { return codes_.num_bits(); }
  [[nodiscard]] const CodeBook& codes() const { return codes_; }
  [[nodiscard]] Index num_logits() const { return k() + k() * num_bits(); }
  [[nodiscard]] bool sums_to_one() const { return !codes_.loses_mass(); }
  [[nodiscard]] RowGroups row_groups() const {
    const double codes = options_.code_range * options_.gamma, mix = options_.mix_range;
    return {{0, {k()}, "alpha", "G", "G_bias", mix, mix, mix},
            {k(), {k(), num_bits()}, "Z", "W", "W_bias", codes, codes, codes}};
  }

  /// The width of the smooth-step, for schedules. Throws config_error unless finite and > 0.
  void set_gamma(double gamma) {
    detail::require_positive("DSelect-k gate: gamma", gamma, S(gamma) > S(0));
    options_.gamma = gamma;
  }
  /// The limit gamma -> 0: from here on every bit is 1 where z > 0 and 0 elsewhere, so every example
  /// selects at most k experts; the bits no longer train, the mix does.
  void harden() { hardened_ = true; }
  [[nodiscard]] bool hardened() const { return hardened_; }

  /// Bit j of selector i from one logits column.
  [[nodiscard]] SmoothStep<S> bit(const S* logits, Index i, int j) const {
    const S z = logits[k() + i * num_bits() + j];
    return hardened_ ? hard_step(z) : smooth_step(z, S(options_.gamma));
  }
  Cache make_cache(Index max_columns) const {
    const Index codes = codes_.num_codes();
    return {.flops = {},
            .mix = Matrix<S>(k(), max_columns),
            .bits = std::vector<SmoothStep<S>>(static_cast<std::size_t>(k() * num_bits() * max_columns)),
            .products = Vector<S>(codes),
            .upstream = Vector<S>(codes),
            .prefix = Vector<S>(codes),
            .accumulator = Vector<S>(num_experts()),
            .entries = {}};
  }
  Gradient make_gradient() const { return {}; }

  void forward(const Context&, const In<S>& logits, GateOutput<S>& weights, Cache& cache) const {
    detail::require_logits(*this, "DSelect-k gate", logits);
    require_capacity("DSelect-k gate", cache.mix.cols(), logits.cols());
    weights.begin(logits.cols());
    cache.columns = -1;  // until the last column is done
    cache.flops = {};
    for (Index c = 0; c < logits.cols(); ++c) {
      read_logits(logits.col(c).data(), c, cache);
      if (weights.storage() == Storage::dense) {
        accumulate(c, cache, weights.dense().col(c).data());
      } else {
        route(c, cache, weights.routing());
      }
    }
    cache.columns = logits.cols();
  }

  void backward(const Context& context, const In<S>& logits, const GateOutput<S>& weights,
                const GateOutput<S>& dweights, double scale, Out<S> dlogits, Gradient&,
                Cache& cache) const {
    detail::require_backward(*this, "DSelect-k gate", logits, cache.columns);
    const SelectorRegularizer regularizer = regularizer_of(context);
    PerBit<S> ds;
    for (Index c = 0; c < logits.cols(); ++c) {
      const S* mix = cache.mix.col(c).data();
      S* dalpha = dlogits.col(c).data();
      S mean_dot(0);
      for (Index i = 0; i < k(); ++i) {
        const SmoothStep<S>* bits = bits_of(c, i, cache);
        ds.fill(S(0));
        if (mix[i] != S(0)) {
          const S dot = selector_backward(bits, mix[i], c, weights, dweights, ds.data(), cache);
          dalpha[i] += mix[i] * dot;
          mean_dot += mix[i] * dot;
        }
        if (context.training()) {
          regularizer.add_gradient(num_experts(), bits, num_bits(), scale, ds.data());
        }
        S* dz = dalpha + k() + i * num_bits();
        for (int j = 0; j < num_bits(); ++j) {
          if (!bits[j].is_binary()) {
            dz[j] += bits[j].slope(S(options_.gamma)) * ds[static_cast<std::size_t>(j)];
          }
        }
      }
      for (Index i = 0; i < k(); ++i) dalpha[i] -= mix[i] * mean_dot;
    }
  }

  /// scale * sum over columns and selectors of (lambda H + xi / max(mass, 1e-6)); 0 outside training.
  accumulate_t<S> regularization(const Context& context, double scale, const Cache& cache) const {
    accumulate_t<S> sum(0);
    if (!context.training()) return sum;
    const SelectorRegularizer regularizer = regularizer_of(context);
    for (Index c = 0; c < cache.columns; ++c) {
      for (Index i = 0; i < k(); ++i) {
        sum += accumulate_t<S>(regularizer.value(num_experts(), bits_of(c, i, cache), num_bits()));
      }
    }
    return accumulate_t<S>(scale) * sum;
  }

  [[nodiscard]] Flops flops(Index columns, const Cache& cache) const {
    const std::int64_t selectors = k() * columns, m = num_bits();
    Flops each{.forward = 4 + (hardened_ ? 0 : 3 * m), .backward = 6};
    if (codes_.renormalises()) {  // the mass, and in backward its gradient too
      const std::int64_t ones = std::popcount(detail::digits(num_experts()));
      each += {.forward = 5 * m + 5 * ones + 1, .backward = 17 * m + 11 * ones + 4};
    }
    return cache.flops + Flops{.forward = selectors * each.forward,
                               .backward = selectors * each.backward};
  }

  template <class F, class... M>
  static void visit(F&&, M&...) {}

 private:
  [[nodiscard]] std::size_t bits_at(Index column, Index i) const {
    return static_cast<std::size_t>((column * k() + i) * num_bits());
  }
  const SmoothStep<S>* bits_of(Index column, Index i, const Cache& cache) const {
    return cache.bits.data() + bits_at(column, i);
  }
  Subcube cube_of(Index column, Index i, const Cache& cache) const {
    return subcube(bits_of(column, i, cache), num_bits());
  }
  [[nodiscard]] S mass_of(const SmoothStep<S>* bits) const {
    return reachable_mass(num_experts(), bits, num_bits());
  }
  SelectorRegularizer regularizer_of(const Context& context) const {
    const double xi = codes_.loses_mass() ? options_.penalty_weight * context.penalty_factor : 0;
    return {options_.entropy, options_.entropy_weight * context.entropy_factor, xi};
  }

  /// Fills the column's mix and bits.
  void read_logits(const S* z, Index c, Cache& cache) const {
    if (!softmax(z, k(), cache.mix.col(c).data())) {
      detail::throw_bad_softmax("DSelect-k gate", z, k(), c);
    }
    SmoothStep<S>* bits = cache.bits.data() + bits_at(c, 0);
    for (Index i = 0; i < k(); ++i) {
      for (int j = 0; j < num_bits(); ++j, ++bits) {
        *bits = bit(z, i, j);
        if (!(bits->v == bits->v)) {
          detail::throw_bad_logit(
              "DSelect-k gate", z, num_logits(), c, [](S value) { return value == value; }, "a number");
        }
      }
    }
  }

  /// What a selector's products start from: its share of the mix, over its mass if renormalised.
  S share(Index c, Index i, const Cache& cache) const {
    const S mix = cache.mix(i, c);
    return codes_.renormalises() ? mix / floored_mass(mass_of(bits_of(c, i, cache))) : mix;
  }

  /// body(expert, weight) for every code with an expert, selector after selector. Returns true where
  /// a weight may have underflowed.
  template <class Body>
  bool for_each_product(Index c, Cache& cache, const Body& body) const {
    bool underflow = false;
    S* r = cache.products.data();
    for (Index i = 0; i < k(); ++i) {
      const S scale = share(c, i, cache);
      if (scale == S(0)) continue;
      const Subcube cube = cube_of(c, i, cache);
      underflow |= selector_products(bits_of(c, i, cache), cube, scale, r) < smallest_weight<S>();
      count_flops(cube, cache);
      codes_.for_each_expert(cube, [&](Index at, Index e) { body(e, r[at]); });
    }
    return underflow;
  }

  /// What selector_products and the sums cost; in backward selector_gradient and the slopes.
  void count_flops(const Subcube& cube, Cache& cache) const {
    const std::int64_t f = cube.num_free(), size = cube.size();
    cache.flops += {.forward = 9 * f + 2 * (size - 1) + codes_.num_used(cube),
                    .backward = f == 0 ? 0 : 22 * f + 7 * size - 16};
  }

  /// w = weights of column c, all n of them.
  void accumulate(Index c, Cache& cache, S* w) const {
    std::fill(w, w + num_experts(), S(0));
    if (!for_each_product(c, cache, [&](Index e, S weight) { w[e] += weight; })) return;
    for (Index i = 0; i < k(); ++i) {
      if (cache.mix(i, c) == S(0)) continue;
      codes_.for_each_expert(cube_of(c, i, cache), [&](Index, Index e) {
        if (w[e] < smallest_weight<S>()) w[e] = smallest_weight<S>();
      });
    }
  }

  /// The same weights, as entries. Few codes are sorted; where they are many against n, the column is
  /// added up densely: its own bits decide, nothing else. Both add the selectors in order.
  void route(Index c, Cache& cache, Routing<S>& routing) const {
    Index codes = 0;
    for (Index i = 0; i < k(); ++i) codes += cube_of(c, i, cache).size();
    if (4 * codes > num_experts()) {
      accumulate(c, cache, cache.accumulator.data());
      routing.push_non_zeros(cache.accumulator.data(), num_experts());
    } else {
      cache.entries.clear();
      for_each_product(c, cache, [&](Index e, S weight) { cache.entries.add(e, weight); });
      cache.entries.push_sums(routing, smallest_weight<S>());
    }
    routing.end_column();
  }

  /// Adds to ds the derivative of a_i <r / mass if renormalised, u>; returns that product.
  S selector_backward(const SmoothStep<S>* bits, S mix, Index c, const GateOutput<S>& weights,
                      const GateOutput<S>& dweights, S* ds, Cache& cache) const {
    const Subcube cube = subcube(bits, num_bits());
    S* u = cache.upstream.data();
    std::fill(u, u + cube.size(), S(0));
    if (weights.storage() == Storage::dense) {
      const S* dw = dweights.dense().col(c).data();
      codes_.for_each_expert(cube, [&](Index at, Index e) { u[at] = dw[e]; });
    } else {
      const auto experts = weights.routing().experts(c);
      const S* dw = dweights.routing().weights(c).data();
      codes_.for_each_expert(cube, [&](Index at, Index e) {
        u[at] = dw[std::lower_bound(experts.begin(), experts.end(), e) - experts.begin()];
      });
    }
    if (!codes_.renormalises()) return selector_gradient(bits, cube, mix, u, cache.prefix.data(), ds);
    const S mass = mass_of(bits), divisor = floored_mass(mass);
    const S dot = selector_gradient(bits, cube, mix / divisor, u, cache.prefix.data(), ds) / divisor;
    if (mass == divisor) {
      reachable_mass_gradient(num_experts(), bits, num_bits(), -mix * dot / mass, ds);
    }
    return dot;
  }

  Options options_;
  CodeBook codes_;
  bool hardened_ = false;
};

}  // namespace selgate
