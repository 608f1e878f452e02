// SPDX-License-Identifier: MIT
// One layer of experts behind a per-example top-k gate: what conditional computation saves as the
// number of experts grows. The layer skips by the zeros it is given, written out or not.

#include "case.hpp"
#include "gate_kind.hpp"
#include "gate_work.hpp"

#include <selgate/mixture/dense_bank.hpp>
#include <selgate/mixture/multi_gate.hpp>

namespace selgate::benchmarks::layer {
namespace {

struct Size {
  Index n, k, p, u, batch;
};

class LayerWork {
 public:
  LayerWork(const Size& size, Storage storage, Passes passes, Rng& rng)
      : passes_(passes),
        layer_(DenseBank<float>(
                   {.in_features = size.p, .out_features = size.u, .num_experts = size.n}, rng),
               Gates(Kind<TopKHead<float>>::options(size.p, size.n, size.k), 1, rng), storage),
        x_(size.p, size.batch),
        y_(size.u, size.batch),
        dy_(size.u, size.batch),
        cache_(layer_.make_cache(size.batch)),
        gradient_(layer_.make_gradient()) {
    fill_normal(x_, 0, 1, rng);
    fill_normal(dy_, 0, 1, rng);
  }

  void operator()() {
    if (passes_ == Passes::forward) {
      layer_.forward(Context{}, x_, y_, cache_);
      return;
    }
    const Context context = training(x_.cols());
    set_zero(gradient_);
    layer_.forward(context, x_, y_, cache_);
    layer_.backward(context, x_, y_, dy_, not_wanted<float>(), gradient_, cache_);
  }

  [[nodiscard]] std::int64_t flops() const {
    return flops_of(passes_, layer_.flops(x_.cols(), cache_));
  }

 private:
  using Gates = GateBank<Dense<float>, TopKHead<float>>;
  using Mixture = MultiGateMixture<DenseBank<float>, Gates>;
  Passes passes_;
  Mixture layer_;
  Matrix<float> x_, y_, dy_;
  Mixture::Cache cache_;
  Mixture::Gradient gradient_;
};

}  // namespace

void add_cases() {
  constexpr Size sizes[] = {{8, 2, 128, 256, 128},
                            {8, 2, 128, 256, 1024},
                            {32, 2, 256, 256, 1024},
                            {64, 2, 256, 256, 1024}};
  for (const Size& size : sizes) {
    for (const Passes passes : {Passes::forward_backward, Passes::forward}) {
      for (const Storage storage : {Storage::dense, Storage::routing}) {
        const bool is_routing = storage == Storage::routing;
        add_case(CaseName(std::string("layer_topk_") + text(passes))
                     .with("n", size.n)
                     .with("k", size.k)
                     .with("p", size.p)
                     .with("u", size.u)
                     .with("B", size.batch)
                     .with("impl", is_routing ? "selgate_conditional" : "selgate"),
                 [=] {
                   Rng rng(1);
                   return LayerWork(size, storage, passes, rng);
                 });
      }
    }
  }
}

}  // namespace selgate::benchmarks::layer
