// SPDX-License-Identifier: MIT
#pragma once

#include <selgate/testing/gate_layer.hpp>
#include <selgate/testing/layer_laws.hpp>

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <type_traits>
#include <utility>

namespace selgate {

struct GateLawOptions {
  LayerLawOptions layer = {};
  Index max_support = 0;  // experts that a column may select at most; 0: any number
};

struct HeadLawOptions {
  Matrix<double> logits = {};  // num_logits x columns, as floats; empty: 5 columns of U(-1, 1)
  LayerLawOptions layer = {};
  Index max_support = 0;
};

namespace detail {

inline std::string storage_name(Storage storage) {
  return storage == Storage::dense ? "dense: " : "routing: ";
}

/// Adds the outcomes of check_layer, without the values of the gradients where others of the same
/// bits have been checked. The stated operations leave out the regularizers, and so are compared
/// outside training.
template <class Make>
void check_as_layer(const Make& make, LayerLawOptions options, const std::string& prefix,
                    bool with_gradients, LawReport& report) {
  LawReport layer_report;
  check_layer_passes(make, options, layer_report);
  if (with_gradients) check_layer_gradients(LayerProbe<Make>(make, options), layer_report);
  for (LawOutcome outcome : layer_report.outcomes()) {
    outcome.detail = prefix + outcome.detail;
    report.add(std::move(outcome));
  }
  options.mode = Mode::eval;
  check_layer_flops(LayerProbe<Make>(make, options), report);
}

template <class S>
void check_weights(const GateOutput<S>& weights, bool sums_to_one, Index max_support,
                   const std::string& prefix, LawReport& report) {
  const Matrix<S> w = weights.to_dense();
  bool positive = true;
  double sum_error = 0;
  Index support = 0;
  for (Index c = 0; c < w.cols(); ++c) {
    S sum(0);
    Index selected = 0;
    for (Index e = 0; e < w.rows(); ++e) {
      positive = positive && w(e, c) >= S(0) && !std::signbit(w(e, c));
      sum += w(e, c);
      selected += w(e, c) != S(0);
    }
    const auto excess = static_cast<double>(sum) - 1;
    sum_error = std::max(sum_error, sums_to_one ? std::abs(excess) : excess);
    support = std::max(support, selected);
  }
  const double rounding =
      4 * static_cast<double>(w.rows()) * static_cast<double>(std::numeric_limits<S>::epsilon());
  report.add("weights >= +0", positive, prefix);
  report.add(
      {sums_to_one ? "columns sum to 1" : "columns sum to at most 1", sum_error, rounding, prefix});
  report.add("sparse support", max_support == 0 || support <= max_support,
             prefix + to_text(support) + " experts selected");
  if (weights.storage() == Storage::dense) return;
  bool ascending = weights.routing().num_columns() == weights.num_columns();
  for (Index c = 0; c < weights.num_columns(); ++c) {
    std::int32_t last = -1;
    for (const std::int32_t e : weights.routing().experts(c)) {
      ascending = ascending && e > last && e < weights.num_experts();
      last = e;
    }
    for (const S value : weights.routing().weights(c)) ascending = ascending && value != S(0);
  }
  report.add("routing is ascending, without zeros", ascending, prefix);
}

/// Both storages of one gate, in one scalar: the laws of weights, and the same bits.
template <class S, class Make>
void check_storages(const Make& make, const GateLawOptions& options, const std::string& scalar,
                    LawReport& report) {
  LayerPass<S> passes[2];
  for (const Storage storage : {Storage::dense, Storage::routing}) {
    const MakeGateLayer<Make> make_layer{make, storage};
    const LayerProbe<MakeGateLayer<Make>> probe(make_layer, wide(options.layer));
    const auto layer = probe.template layer<S>();
    auto cache = layer.make_cache(probe.options().batch);
    auto& pass = passes[storage == Storage::routing];
    pass = probe.pass(layer, probe.context(), probe.template x<S>(), probe.template dy<S>(), cache);
    check_weights(cache.weights, layer.gates().head().sums_to_one(), options.max_support,
                  scalar + ", " + storage_name(storage), report);
  }
  auto name = [&](Index i) { return scalar + ": entry " + to_text(i); };
  report.compare<S>("routing = dense: weights", passes[1].y.reshaped(), passes[0].y.reshaped(), 0,
                    name);
  report.compare<S>("routing = dense: gradient", passes[1].derivatives(), passes[0].derivatives(),
                    0, name);
}

/// What a gate's kernels have to do with the number of its columns.
template <class Make>
void check_wide_gate(const Make& make, const GateLawOptions& options, LawReport& report) {
  check_storages<double>(make, options, "double, wide", report);
  check_storages<float>(make, options, "float, wide", report);
  const MakeGateLayer<Make> make_layer{make, Storage::dense};
  check_layer_kernels(LayerProbe<MakeGateLayer<Make>>(make_layer, options.layer), report);
}

/// The laws of a head that no layer can see. Every column stands alone, to the bit.
template <class S, class H>
void check_head_columns(const H& head, const Matrix<S>& logits, const LayerLawOptions& options,
                        const std::string& scalar, LawReport& report) {
  const Context context = training(logits.cols(), options.seed);
  auto pass = [&](const Matrix<S>& z, Storage storage, typename H::Cache& cache) {
    GateOutput<S> weights(storage, head.num_experts(), z.cols()), dweights = weights;
    typename H::Gradient gradient = head.make_gradient();
    Matrix<S> dlogits = Matrix<S>::Zero(z.rows(), z.cols());
    head.forward(context, z, weights, cache);
    dweights.zero_like(weights);
    for (Index c = 0; c < z.cols(); ++c) {
      for (Index e = 0; e < head.num_experts(); ++e) {
        if (weights.weight(e, c) == S(0)) continue;
        dweights.weight_ref(e, c) = static_cast<S>(std::cos(static_cast<double>(3 * e + 1)));
      }
    }
    head.backward(context, z, weights, dweights, 0.5, dlogits, gradient, cache);
    return std::pair(weights.to_dense(), dlogits);
  };
  for (const Storage storage : {Storage::dense, Storage::routing}) {
    auto cache = head.make_cache(logits.cols()), single_cache = head.make_cache(1);
    const auto [weights, dlogits] = pass(logits, storage, cache);
    bool same = true;
    for (Index c = 0; c < logits.cols(); ++c) {
      const auto [single, dsingle] = pass(logits.col(c), storage, single_cache);
      same = same && single == weights.col(c) && dsingle == dlogits.col(c);
    }
    report.add("a column alone = in a batch", same, scalar + ", " + storage_name(storage));
  }
}

/// What it refuses of logits.
template <class S, class H>
void check_head_logits(const H& head, const Matrix<S>& logits, const std::string& scalar,
                       LawReport& report) {
  const Context context = training(logits.cols());
  auto cache = head.make_cache(logits.cols());
  GateOutput<S> weights(Storage::dense, head.num_experts(), logits.cols());
  const Matrix<S> more_rows = Matrix<S>::Zero(logits.rows() + 1, logits.cols());
  auto forward = [&](const Matrix<S>& z) { head.forward(context, z, weights, cache); };
  report.add("rows are checked",
             throws<shape_error>("rows of the logits", [&] { forward(more_rows); }), scalar);
  const Index last = logits.cols() - 1;
  for (Index row = 0; row < logits.rows(); ++row) {
    Matrix<S> bad = logits;
    bad(row, last) = std::numeric_limits<S>::quiet_NaN();
    const std::string place = "row " + to_text(row) + ", column " + to_text(last);
    const bool refused = throws<numeric_error>(place, [&] { forward(bad); });
    report.add("NaN is refused", refused, scalar + ": " + place);
  }
}

}  // namespace detail

/// Checks a gate, or a bank of gates (GateBank), of your own: the laws of a layer on its weights in
/// both storages, the laws of weights, and that both storages have the same bits in weights and
/// gradient. make(scalar, rng) as in check_layer.
template <class Make>
LawReport check_gate(const Make& make, const GateLawOptions& options = {}) {
  LawReport report;
  for (const Storage storage : {Storage::dense, Storage::routing}) {
    detail::check_as_layer(detail::MakeGateLayer<Make>{make, storage}, options.layer,
                           detail::storage_name(storage), storage == Storage::dense, report);
  }
  detail::check_storages<double>(make, options, "double", report);
  detail::check_storages<float>(make, options, "float", report);
  return report;
}

/// Checks every law of gate/head.hpp on a head of your own, at the given logits:
///
///     check_head([](auto scalar, Rng&) { return MyHead<decltype(scalar)>({.num_experts = 5}); });
///
/// As a static bank with these logits it obeys the laws of a gate, the kernels of whole lanes with
/// the same columns over and over; and every column stands alone.
template <class Make>
LawReport check_head(const Make& make, HeadLawOptions options = {}) {
  using H = std::invoke_result_t<const Make&, double, Rng&>;
  static_assert(Head<H>, "make(scalar, rng) must return a Head, see selgate/gate/head.hpp");
  if (options.logits.size() == 0) {
    Rng rng(options.layer.seed), data(options.layer.seed + 1);
    options.logits = uniform<double>(make(double{}, rng).num_logits(), 5, data);
  }
  options.layer.parameter_noise = 0;
  const Index wide_columns = options.layer.wide_batch;
  options.layer.wide_batch = options.layer.batch;  // a static bank's lanes are its columns
  auto make_bank = [&](const Matrix<double>& logits) {
    return [&](auto scalar, Rng& rng) {
      using S = decltype(scalar);
      auto head = make(scalar, rng);
      StaticMap<S> map(logits.rows(), logits.cols());
      map.table = logits.template cast<float>().template cast<S>();
      return GateBank<StaticMap<S>, decltype(head)>(std::move(map), std::move(head), logits.cols());
    };
  };
  GateLawOptions gate_options{.layer = options.layer, .max_support = options.max_support};
  LawReport report = check_gate(make_bank(options.logits), gate_options);
  gate_options.layer.batch = gate_options.layer.wide_batch = 1;
  const Index times = 1 + wide_columns / options.logits.cols();
  const Matrix<double> wide = options.logits.replicate(1, times).leftCols(
      std::max(options.logits.cols(), wide_columns));
  detail::check_wide_gate(make_bank(wide), gate_options, report);
  auto check_columns = [&]<class S>(S scalar, const char* name) {
    Rng rng(options.layer.seed);
    const auto head = make(scalar, rng);
    const Matrix<S> logits = options.logits.template cast<float>().template cast<S>();
    const Matrix<S> wide_logits = wide.template cast<float>().template cast<S>();
    detail::check_head_columns<S>(head, wide_logits, options.layer, name, report);
    detail::check_head_logits<S>(head, logits, name, report);
    detail::check_head_state<S>(head, logits, name, report);
  };
  check_columns(double{}, "double");
  check_columns(float{}, "float");
  return report;
}

}  // namespace selgate
