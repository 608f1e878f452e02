// SPDX-License-Identifier: MIT
#include <selgate/testing/state_laws.hpp>

#include <selgate/gate/softmax_head.hpp>
#include <selgate/layer/dense.hpp>
#include <selgate/layer/sequential.hpp>

#include "catch.hpp"

#include <algorithm>

using namespace selgate;

namespace {

/// Two layers that trust their cache, where `careless`.
template <class S>
struct Pair : Sequential<Dense<S>, Dense<S>> {
  using Base = Sequential<Dense<S>, Dense<S>>;
  using typename Base::Cache;
  using typename Base::Gradient;
  bool careless;

  Pair(bool c, Rng& rng)
      : Base(Dense<S>({.in_features = 3, .out_features = 4}, rng),
             Dense<S>({.in_features = 4, .out_features = 2}, rng)),
        careless(c) {}

  void forward(const Context& context, const In<S>& x, Out<S> y, Cache& cache) const {
    const bool fits = !careless || cache.y[0].cols() >= x.cols();
    if (fits) {
      Base::forward(context, x, y, cache);
    } else {
      y.setZero();
    }
  }
  void backward(const Context& context, const In<S>& x, const In<S>& y, const In<S>& dy, Out<S> dx,
                Gradient& gradient, Cache& cache) const {
    if (!careless || cache.columns == x.cols()) {
      Base::backward(context, x, y, dy, dx, gradient, cache);
    }
  }
};

/// A softmax head that mends a cache or argument that does not fit, where `careless`.
template <class S>
struct Head : SoftmaxHead<S> {
  using Base = SoftmaxHead<S>;
  using Gradient = Empty;
  using typename Base::Cache;
  bool careless;

  explicit Head(bool c) : Base({.num_experts = 3}), careless(c) {}

  void forward(const Context& context, const In<S>& logits, GateOutput<S>& weights,
               Cache& cache) const {
    if (careless) {
      if (weights.num_experts() != 3) weights = GateOutput<S>(weights.storage(), 3, logits.cols());
      cache = Base::make_cache(logits.cols());
    }
    Base::forward(context, logits, weights, cache);
  }
  void backward(const Context& context, const In<S>& logits, const GateOutput<S>& weights,
                const GateOutput<S>& dweights, double scale, Out<S> dlogits, Gradient& gradient,
                Cache& cache) const {
    if (!careless) {
      Base::backward(context, logits, weights, dweights, scale, dlogits, gradient, cache);
    }
  }
};

LawReport layer_report(bool careless) {
  LawReport report;
  auto make = [careless](auto scalar, Rng& rng) { return Pair<decltype(scalar)>(careless, rng); };
  detail::check_layer_state(detail::LayerProbe<decltype(make)>(make, {}), report);
  return report;
}
LawReport head_report(bool careless) {
  LawReport report;
  Rng rng(1);
  detail::check_head_state<double>(Head<double>(careless), uniform<double>(3, 4, rng), "double",
                                   report);
  return report;
}

}  // namespace

TEST_CASE("state laws: hold for those that look") {
  INFO(layer_report(false).failures() << head_report(false).failures());
  CHECK(layer_report(false).ok());
  CHECK(head_report(false).ok());
}

TEST_CASE("state laws: catch a layer that trusts its cache") {
  const LawReport report = layer_report(true);
  for (const char* law : {"backward needs its forward", "backward has the batch of its forward",
                          "cache has room", "cache is of this layer"}) {
    INFO(law);
    CHECK(report.failed(law));
  }
}

TEST_CASE("state laws: catch a head that trusts cache and arguments") {
  const LawReport report = head_report(true);
  for (const char* law : {"backward needs its forward", "backward has the batch of its forward",
                          "arguments of backward fit", "weights have the head's experts",
                          "cache has room", "cache is of this head"}) {
    INFO(law);
    CHECK(report.failed(law));
  }
}
