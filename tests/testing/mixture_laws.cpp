// SPDX-License-Identifier: MIT
#include <selgate/testing/mixture_laws.hpp>

#include <selgate/gate/gate.hpp>
#include <selgate/mixture/list_bank.hpp>

#include "catch.hpp"

#include <limits>

using namespace selgate;

namespace {

enum class BankFault {
  none,
  reads_inactive,
  depends_on_threads,
  forgets_an_example,
  backward_flops,
  reads_outside_the_support
};

template <class S>
using Experts = ListBank<Dense<S>>;

/// A bank of dense experts, right except for one fault.
template <class S>
struct FaultyBank : Experts<S> {
  using Base = Experts<S>;
  using typename Base::Cache;
  using typename Base::Gradient;
  BankFault fault;

  FaultyBank(BankFault f, Rng& rng)
      : Base(4, [&] { return Dense<S>({.in_features = 3, .out_features = 2}, rng); }), fault(f) {}

  void forward(const Context& context, const Dispatch& dispatch, const In<S>& x,
               ExpertBlocks<S>& outputs, Cache& cache) const {
    Base::forward(context, dispatch, x, outputs, cache);
    if (dispatch.num_active() == 0) return;
    auto block = outputs.block(dispatch, 0);
    if (fault == BankFault::reads_inactive) {
      for (Index e = 0; e < 4; ++e) block(0, 0) += S(0) * this->expert(e).weight(0, 0);
    }
    if (fault == BankFault::depends_on_threads && context.executor != nullptr)
      block(0, 0) += S(0.125);
    if (fault == BankFault::forgets_an_example && !dispatch.sees_all(dispatch.num_active() - 1)) {
      outputs.block(dispatch, dispatch.num_active() - 1)(0, 0) = S(0);
    }
  }
  [[nodiscard]] Flops flops(const Dispatch& dispatch, const Cache& cache) const {
    Flops flops = Base::flops(dispatch, cache);
    if (fault == BankFault::backward_flops) ++flops.backward;
    return flops;
  }
};

/// A top-k head that may read the derivative by the weights that it set to 0.
template <class S>
struct FaultyHead : TopKHead<S> {
  using Base = TopKHead<S>;
  using Gradient = Empty;
  using typename Base::Cache;
  BankFault fault;

  explicit FaultyHead(BankFault f) : Base({.in_features = 3, .num_experts = 4, .k = 2}), fault(f) {}

  void backward(const Context& context, const In<S>& logits, const GateOutput<S>& weights,
                const GateOutput<S>& dweights, double scale, Out<S> dlogits, Gradient& gradient,
                Cache& cache) const {
    Base::backward(context, logits, weights, dweights, scale, dlogits, gradient, cache);
    if (fault != BankFault::reads_outside_the_support || weights.storage() == Storage::routing)
      return;
    for (Index c = 0; c < logits.cols(); ++c) {
      for (Index e = 0; e < 4; ++e) {
        if (weights.weight(e, c) == S(0)) dlogits(e, c) += dweights.weight(e, c);
      }
    }
  }
};

template <class S>
auto make_mixture(BankFault fault, Storage storage, Rng& rng) {
  using Gates = GateBank<StaticMap<S>, FaultyHead<S>>;
  StaticMap<S> map(4, 1);
  map.table << 3, 2, 1, 0;
  return MultiGateMixture<FaultyBank<S>, Gates>(FaultyBank<S>(fault, rng),
                                                Gates(map, FaultyHead<S>(fault), 1), storage);
}

}  // namespace

TEST_CASE("bank laws: catch every fault by the law it breaks") {
  auto check = [](BankFault fault) {
    return check_bank(
        [fault](auto scalar, Rng& rng) { return FaultyBank<decltype(scalar)>(fault, rng); });
  };
  const LawReport right = check(BankFault::none);
  INFO(right.failures());
  CHECK(right.ok());
  CHECK(check(BankFault::reads_inactive).failed("inactive experts are never read"));
  CHECK(check(BankFault::depends_on_threads).failed("any number of threads"));
  CHECK(check(BankFault::forgets_an_example).failed("exact gradient"));
  CHECK(check(BankFault::backward_flops).failed("flops: backward"));
}

TEST_CASE("mixture laws: catch every fault by the law it breaks") {
  auto check = [](BankFault fault, Index min_inactive = 2) {
    return check_mixture(
        [fault](auto scalar, Rng& rng, Storage storage) {
          return make_mixture<decltype(scalar)>(fault, storage, rng);
        },
        {.min_inactive = min_inactive});
  };
  const LawReport right = check(BankFault::none);
  INFO(right.failures());
  CHECK(right.ok());
  CHECK(check(BankFault::none, 3).failed("experts are skipped"));
  CHECK(check(BankFault::reads_inactive).failed("inactive experts are never read"));
  CHECK(check(BankFault::depends_on_threads).failed("any number of threads"));
  CHECK(check(BankFault::reads_outside_the_support).failed("skipping = computing all"));
}
