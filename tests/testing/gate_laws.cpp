// SPDX-License-Identifier: MIT
#include <selgate/testing/gate_laws.hpp>

#include <selgate/gate/top_k_head.hpp>

#include "catch.hpp"

#include <cmath>

using namespace selgate;

namespace {

enum class GateFault {
  none,
  negative_weight,
  loses_mass,
  negative_zero,
  sets_dlogits,
  sign_of_gradient,
  routes_other_weights,
  routes_zeros,
  routes_other_gradient,
  mixes_columns,
  accepts_any_order,
  accepts_any_rows,
  accepts_nan,
  forward_flops
};

/// A top-k head, right except for one fault.
template <class S>
struct FaultyTopK : TopKHead<S> {
  using Base = TopKHead<S>;
  using Gradient = Empty;
  using typename Base::Cache;
  GateFault fault;

  explicit FaultyTopK(GateFault f) : Base({.num_experts = 5, .k = 2}), fault(f) {}

  void forward(const Context& context, const In<S>& logits, GateOutput<S>& weights,
               Cache& cache) const {
    if (fault == GateFault::accepts_any_rows && logits.rows() != 5) return;
    Matrix<S> z = logits;
    if (fault == GateFault::accepts_nan) {
      for (S& at : z.reshaped()) at = at == at ? at : S(0);
    }
    if (fault == GateFault::mixes_columns) z.col(0) = z.rowwise().sum();
    Base::forward(context, z, weights, cache);
    const bool dense = weights.storage() == Storage::dense;
    if (dense && fault == GateFault::negative_weight) weights.dense()(4, 0) = S(-0.5);
    if (dense && fault == GateFault::negative_zero) {
      for (S& w : weights.dense().reshaped()) w = w == S(0) ? -S(0) : w;
    }
    if (dense && fault == GateFault::loses_mass) weights.dense() *= S(0.5);
    if (!dense && fault == GateFault::routes_other_weights)
      weights.routing().weights()[0] += S(0.25);
    if (!dense && fault == GateFault::routes_zeros) weights.routing().weights()[1] = S(0);
  }
  void backward(const Context& context, const In<S>& logits, const GateOutput<S>& weights,
                const GateOutput<S>& dweights, double scale, Out<S> dlogits, Gradient& gradient,
                Cache& cache) const {
    if (fault == GateFault::accepts_any_order && cache.door.columns() != logits.cols()) return;
    Matrix<S> own = Matrix<S>::Zero(dlogits.rows(), dlogits.cols());
    Base::backward(context, logits, weights, dweights, scale, own, gradient, cache);
    if (fault == GateFault::sign_of_gradient) own = -own;
    if (fault == GateFault::routes_other_gradient && weights.storage() == Storage::routing)
      own *= S(2);
    if (fault == GateFault::sets_dlogits) dlogits.setZero();
    for (Index c = 0; c < own.cols();
         ++c) {  // without a count of operations where nothing is added
      for (Index e = 0; e < own.rows(); ++e) dlogits(e, c) = own(e, c) + dlogits(e, c);
    }
  }
  [[nodiscard]] Flops flops(Index columns, const Cache& cache) const {
    Flops flops = Base::flops(columns, cache);
    flops.backward += 5 * columns;  // of the addition above
    if (fault == GateFault::forward_flops) ++flops.forward;
    return flops;
  }
};

LawReport check(GateFault fault, HeadLawOptions options = {}) {
  return check_head([fault](auto scalar, Rng&) { return FaultyTopK<decltype(scalar)>(fault); },
                    options);
}

}  // namespace

TEST_CASE("head laws: hold for a right head, and at given logits") {
  const LawReport report = check(GateFault::none, {.max_support = 2});
  INFO(report.failures());
  CHECK(report.ok());
  Matrix<double> logits = Matrix<double>::Zero(5, 2);
  logits.col(0) << 3, 2, 1, 0, -1;
  logits.col(1) << -1, 0, 1, 2, 3;
  CHECK(check(GateFault::none, {.logits = logits}).ok());
}

TEST_CASE("head laws: catch every fault by the law it breaks") {
  struct Example {
    GateFault fault;
    const char* law;
  };
  const Example example = GENERATE(values<Example>({
      {GateFault::negative_weight, "weights >= +0"},
      {GateFault::negative_zero, "weights >= +0"},
      {GateFault::loses_mass, "columns sum to 1"},
      {GateFault::sets_dlogits, "backward adds"},
      {GateFault::sign_of_gradient, "exact gradient"},
      {GateFault::sign_of_gradient, "central differences"},
      {GateFault::routes_other_weights, "routing = dense: weights"},
      {GateFault::routes_zeros, "routing is ascending, without zeros"},
      {GateFault::routes_other_gradient, "routing = dense: gradient"},
      {GateFault::mixes_columns, "a column alone = in a batch"},
      {GateFault::accepts_any_order, "backward needs its forward"},
      {GateFault::accepts_any_rows, "rows are checked"},
      {GateFault::accepts_nan, "NaN is refused"},
      {GateFault::forward_flops, "flops: forward"},
  }));
  const LawReport report = check(example.fault);
  INFO("law: " << example.law << "\nfailures:\n" << report.failures());
  CHECK(report.failed(example.law));
}

TEST_CASE("head laws: a support larger than promised is caught") {
  CHECK(check(GateFault::none, {.max_support = 1}).failed("sparse support"));
}
