// SPDX-License-Identifier: MIT
#pragma once

#include "case.hpp"

#include <selgate/gate/gate.hpp>

namespace selgate::benchmarks {

enum class Passes { forward, forward_backward };

constexpr const char* text(Passes passes) { return passes == Passes::forward ? "fwd" : "fwdbwd"; }
/// What ran of them; nobody wants the derivative of x.
constexpr std::int64_t flops_of(Passes passes, const Flops& ran) {
  return passes == Passes::forward ? ran.forward : ran.forward + ran.backward;
}

/// One gate on a batch of standard normal features: inference, or forward and backward in training,
/// where the regularizer counts, the weights' derivative is random and nobody wants that of x.
template <class Map, class Head>
class GateWork {
 public:
  GateWork(Gate<Map, Head> gate, Index features, Index batch, Storage storage, Passes passes,
           Rng& rng)
      : gate_(std::move(gate)),
        passes_(passes),
        x_(features, batch),
        weights_(gate_.make_output(batch, storage)),
        cache_(gate_.make_cache(batch)),
        gradient_(gate_.make_gradient()) {
    fill_normal(x_, 0, 1, rng);
    gate_.forward(Context{}, x_, weights_, cache_);
    if (passes == Passes::forward) return;
    dweights_ = weights_;
    auto draw = [&](float weight) { return weight == 0 ? 0 : static_cast<float>(rng.normal()); };
    if (storage == Storage::dense) {
      dweights_.dense() = dweights_.dense().unaryExpr(draw);
    } else {
      for (float& dweight : dweights_.routing().weights()) dweight = draw(dweight);
    }
  }

  void operator()() {
    if (passes_ == Passes::forward) {
      gate_.forward(Context{}, x_, weights_, cache_);
      return;
    }
    const Context context = training(x_.cols());
    set_zero(gradient_);
    gate_.forward(context, x_, weights_, cache_);
    benchmark::DoNotOptimize(gate_.regularization(context, cache_));
    gate_.backward(context, x_, weights_, dweights_, not_wanted<float>(), gradient_, cache_);
  }

  [[nodiscard]] std::int64_t flops() const {
    return flops_of(passes_, gate_.flops(x_.cols(), cache_));
  }

 private:
  using G = Gate<Map, Head>;
  G gate_;
  Passes passes_;
  Matrix<float> x_;
  GateOutput<float> weights_, dweights_;
  typename G::Cache cache_;
  typename G::Gradient gradient_;
};

}  // namespace selgate::benchmarks
