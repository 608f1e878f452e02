// SPDX-License-Identifier: MIT
#pragma once

#include <selgate/mixture/multi_gate.hpp>
#include <selgate/testing/bank_layer.hpp>
#include <selgate/testing/gate_laws.hpp>

#include <algorithm>
#include <limits>
#include <string>
#include <type_traits>

namespace selgate {

struct MixtureLawOptions {
  LayerLawOptions layer = {};
  Index min_inactive = 0;  // experts that no example may select, for the laws to mean something
};

namespace detail {

template <class Make>
struct MakeMixture {
  const Make& make;
  Storage storage;
  template <class S>
  auto operator()(S scalar, Rng& rng) const {
    return make(scalar, rng, storage);
  }
};

/// Sets every parameter of one expert to NaN.
template <class Bank>
void poison(Bank& bank, Index e) {
  using S = typename Bank::Scalar;
  auto&& expert = bank.expert(e);
  for_each_leaf(
      [](const auto& leaf) { leaf.array().setConstant(std::numeric_limits<S>::quiet_NaN()); },
      expert);
}

/// The pass of a layer must have the bits (or, within the tolerance, the values) of another.
template <class S>
void compare_passes(const std::string& law, const LayerPass<S>& got, const LayerPass<S>& expected,
                    double tolerance, const std::string& scalar, LawReport& report) {
  auto name = [&](const char* what) {
    return [&scalar, what](Index i) { return scalar + ": " + what + " " + to_text(i); };
  };
  report.compare<S>(law, got.y.reshaped(), expected.y.reshaped(), tolerance, name("entry of y"));
  report.compare<S>(law, got.derivatives(), expected.derivatives(), tolerance, name("derivative"));
}

/// Any number of threads gives the same bits.
template <class S, class Make>
void check_threads(const LayerProbe<Make>& probe, const LayerPass<S>& expected,
                   const std::string& scalar, LawReport& report) {
  const auto layer = probe.template layer<S>();
  for (const int threads : {1, 2, 4}) {
    Executor executor(threads);
    Context context = probe.context();
    context.executor = &executor;
    auto cache = layer.make_cache(probe.options().batch);
    const auto result =
        probe.pass(layer, context, probe.template x<S>(), probe.template dy<S>(), cache);
    compare_passes("any number of threads", result, expected, 0, scalar, report);
  }
}

/// The pass of a mixture that skips nothing: every expert sees every example, and every derivative
/// by a weight is there, outside the support too.
template <class S, class M>
LayerPass<S> pass_without_skipping(const M& mixture, const Context& context, const Matrix<S>& x,
                                   const Matrix<S>& dy) {
  const Index n = mixture.num_experts(), tasks = mixture.num_tasks(), u = mixture.task_features(),
              batch = x.cols();
  auto gate_cache = mixture.gates.make_cache(batch);
  auto bank_cache = mixture.experts.make_cache(batch);
  auto gradient = mixture.make_gradient();
  auto weights = mixture.gates.make_output(batch), dweights = weights;
  mixture.gates.forward(context, x, weights, gate_cache);
  dweights.zero_like(weights);
  GateOutput<S> everyone(Storage::dense, n, batch);
  everyone.begin(batch);
  everyone.dense().setOnes();
  Dispatch dispatch(n);
  dispatch.build(everyone, 1, batch, false);
  ExpertBlocks<S> outputs, doutputs;
  outputs.layout(dispatch, u);
  doutputs.layout(dispatch, u);
  mixture.experts.forward(context, dispatch, x, outputs, bank_cache);

  LayerPass<S> result{Matrix<S>::Zero(tasks * u, batch), Matrix<S>::Zero(x.rows(), batch), {}};
  const TaskWeights<S> task_weights{weights, tasks,
                                    std::remove_cvref_t<decltype(mixture.gates)>::is_static};
  for (Index e = 0; e < n; ++e) {
    const auto f = outputs.block(dispatch, e);
    auto df = doutputs.block(dispatch, e);
    df.setZero();
    for (Index t = 0; t < tasks; ++t) {
      for (Index b = 0; b < batch; ++b) {
        const Index c = task_weights.column(t, b);
        result.y.block(t * u, b, u, 1) += weights.weight(e, c) * f.col(b);
        df.col(b) += weights.weight(e, c) * dy.block(t * u, b, u, 1);
        dweights.weight_ref(e, c) += dy.block(t * u, b, u, 1).col(0).dot(f.col(b));
      }
    }
  }
  mixture.experts.backward(context, dispatch, x, outputs, doutputs, result.dx, gradient.experts,
                           bank_cache);
  mixture.gates.backward(context, x, weights, dweights, result.dx, gradient.gates, gate_cache);
  result.gradient = pack<S>(gradient);
  return result;
}

template <class S, class Make>
void check_skipping(const Make& make, const MixtureLawOptions& options, const std::string& scalar,
                    LawReport& report) {
  const MakeMixture<Make> make_dense{make, Storage::dense}, make_routing{make, Storage::routing};
  const LayerProbe<MakeMixture<Make>> dense_probe(make_dense, options.layer),
      routing_probe(make_routing, options.layer);
  const Matrix<S> x = dense_probe.template x<S>(), dy = dense_probe.template dy<S>();
  auto mixture = dense_probe.template layer<S>();
  const auto routing = routing_probe.template layer<S>();
  auto cache = mixture.make_cache(x.cols());
  auto routing_cache = routing.make_cache(x.cols());
  const Context& context = dense_probe.context();

  const LayerPass<S> expected = dense_probe.pass(mixture, context, x, dy, cache);
  compare_passes("routing = dense", routing_probe.pass(routing, context, x, dy, routing_cache),
                 expected, 0, scalar, report);
  check_threads<S>(dense_probe, expected, scalar, report);
  check_threads<S>(routing_probe, expected, scalar, report);
  const double rounding =
      4 * static_cast<double>(std::numeric_limits<S>::epsilon()) *
      static_cast<double>(std::max({x.rows(), x.cols(), dy.rows(), mixture.num_experts()}));
  Context eval = context;  // an expert that does not run adds no regularizer either
  eval.mode = Mode::eval;
  compare_passes("skipping = computing all", dense_probe.pass(mixture, eval, x, dy, cache),
                 pass_without_skipping<S>(mixture, eval, x, dy), rounding, scalar, report);

  IndexSet active(mixture.num_experts());
  const Dispatch& dispatch = cache.dispatch;
  for (Index rank = 0; rank < dispatch.num_active(); ++rank) active.insert(dispatch.expert(rank));
  const Index inactive = mixture.num_experts() - active.size();
  report.add("experts are skipped", inactive >= options.min_inactive,
             scalar + ": " + to_text(inactive) + " inactive");
  for (Index e = 0; e < mixture.num_experts(); ++e) {
    if (!active.contains(e)) poison(mixture.experts, e);
  }
  auto poisoned_cache = mixture.make_cache(x.cols());
  compare_passes("inactive experts are never read",
                 dense_probe.pass(mixture, context, x, dy, poisoned_cache), expected, 0, scalar,
                 report);
}

}  // namespace detail

/// Checks every law of mixture/expert_bank.hpp on a bank of your own (make(scalar, rng) as in
/// check_layer): as a layer, with experts that see all, some and no examples; with any number of
/// threads; and that an expert without examples is never read.
template <class Make>
LawReport check_bank(const Make& make, const LayerLawOptions& options = {}) {
  static_assert(ExpertBank<std::invoke_result_t<const Make&, double, Rng&>>,
                "make(scalar, rng) must return an ExpertBank, see selgate/mixture/expert_bank.hpp");
  LawReport report;
  auto check = [&]<class S>(S, const detail::MakeBankLayer<Make>& make_layer,
                            const std::string& name) {
    const detail::LayerProbe<detail::MakeBankLayer<Make>> probe(make_layer, options);
    auto layer = probe.template layer<S>();
    auto cache = layer.make_cache(options.batch);
    auto pass = [&] {
      return probe.pass(layer, probe.context(), probe.template x<S>(), probe.template dy<S>(),
                        cache);
    };
    const auto expected = pass();
    detail::check_threads<S>(probe, expected, name, report);
    if (layer.bank().num_experts() == 1) return;
    detail::poison(layer.bank(), layer.bank().num_experts() - 1);
    detail::compare_passes("inactive experts are never read", pass(), expected, 0, name, report);
  };
  for (const bool whole : {false, true}) {
    const detail::MakeBankLayer<Make> make_layer{make, whole};
    const std::string prefix = whole ? "all see all: " : "some see some: ";
    detail::check_as_layer(make_layer, options, prefix, true, report);
    check(double{}, make_layer, prefix + "double");
    check(float{}, make_layer, prefix + "float");
  }
  return report;
}

/// Checks a mixture (MultiGateMixture) of your own gates and experts:
///
///     check_mixture([](auto scalar, Rng& rng, Storage storage) { return MultiGateMixture(...); });
///
/// It is a layer in both storages, of the same bits; so are any number of threads; to skip experts
/// changes nothing but rounding, and the skipped ones are never read.
template <class Make>
LawReport check_mixture(const Make& make, const MixtureLawOptions& options = {}) {
  LawReport report;
  for (const Storage storage : {Storage::dense, Storage::routing}) {
    detail::check_as_layer(detail::MakeMixture<Make>{make, storage}, options.layer,
                           detail::storage_name(storage), storage == Storage::dense, report);
  }
  detail::check_skipping<double>(make, options, "double", report);
  detail::check_skipping<float>(make, options, "float", report);
  return report;
}

}  // namespace selgate
