// SPDX-License-Identifier: MIT
// What a gate costs per example, in time and in floating-point operations: forward and backward of
// per-example gates, p = 128 features, k = 2. `converged` has every bit binary, so that DSelect-k
// looks at k codes and not at n.

#include <selgate/gate/gate.hpp>

#include <benchmark/benchmark.h>

namespace selgate {
namespace {

constexpr Index features = 128;

template <class G>
void forward_backward(benchmark::State& state, const typename GateBank<Dense<float>, G>::Options& options,
                      Storage storage) {
  const Index batch = state.range(1);
  Rng rng(1);
  const Gate<Dense<float>, G> gate(options, rng);
  const Matrix<float> x = uniform<float>(features, batch, rng);
  Matrix<float> dx = Matrix<float>::Zero(features, batch);
  auto cache = gate.make_cache(batch);
  auto weights = gate.make_output(batch, storage);
  auto dweights = weights;
  auto gradient = gate.make_gradient();
  const Context context = training(batch);
  for (auto _ : state) {
    gate.forward(context, x, weights, cache);
    dweights.zero_like(weights);
    gate.backward(context, x, weights, dweights, dx, gradient, cache);
    benchmark::DoNotOptimize(dx.data());
  }
  state.SetItemsProcessed(state.iterations() * batch);
  state.counters["FLOP/example"] =
      static_cast<double>(gate.flops(batch, cache).total()) / static_cast<double>(batch);
}

void softmax(benchmark::State& state) {
  forward_backward<SoftmaxHead<float>>(
      state, {.in_features = features, .num_experts = state.range(0)}, Storage::dense);
}
void top_k(benchmark::State& state) {
  forward_backward<TopKHead<float>>(
      state, {.in_features = features, .num_experts = state.range(0), .k = 2}, Storage::routing);
}
void dselect_k(benchmark::State& state) {
  forward_backward<DSelectKHead<float>>(
      state, {.in_features = features, .num_experts = state.range(0), .k = 2, .gamma = 100}, Storage::dense);
}
void dselect_k_converged(benchmark::State& state) {
  forward_backward<DSelectKHead<float>>(state,
                                        {.in_features = features, .num_experts = state.range(0), .k = 2,
                                         .gamma = 1e-4, .code_range = 1e4},
                                        Storage::routing);
}

void sizes(benchmark::internal::Benchmark* benchmark) {
  benchmark->ArgNames({"n", "B"})->ArgsProduct({{8, 64, 1024}, {1, 256}});
}
BENCHMARK(softmax)->Apply(sizes);
BENCHMARK(top_k)->Apply(sizes);
BENCHMARK(dselect_k)->Apply(sizes);
BENCHMARK(dselect_k_converged)->Apply(sizes)->ArgsProduct({{1 << 20}, {256}});

}  // namespace
}  // namespace selgate
