// SPDX-License-Identifier: MIT
// Two overlaid images, two classifications (section 4.2 and appendix D.2 of the DSelect-k paper): 8
// convolution networks as experts, on images of 36 x 36.

#include "case.hpp"
#include "gate_kind.hpp"
#include "model_work.hpp"

#include <selgate/layer/conv2d.hpp>
#include <selgate/layer/sequential.hpp>
#include <selgate/mixture/list_bank.hpp>
#include <selgate/mixture/multi_gate.hpp>
#include <selgate/optim/adam.hpp>

namespace selgate::benchmarks::fashion {
namespace {

constexpr Index side = 36, features = side * side, num_experts = 8, num_tasks = 2, num_classes = 10,
                batch = 256;

auto make_expert(Rng& rng) {
  Conv2d<float> first({.in_channels = 1,
                       .height = 36,
                       .width = 36,
                       .out_channels = 10,
                       .kernel = 5,
                       .activation = Activation::relu,
                       .pool = 2},
                      rng);
  Conv2d<float> second({.in_channels = 10,
                        .height = 16,
                        .width = 16,
                        .out_channels = 20,
                        .kernel = 5,
                        .activation = Activation::relu,
                        .pool = 2},
                       rng);
  Dense<float> last({.in_features = 720, .out_features = 50, .activation = Activation::relu}, rng);
  return Sequential(std::move(first), std::move(second), std::move(last));
}

auto make_tower(Rng& rng) {
  Dense<float> first({.in_features = 50, .out_features = 50, .activation = Activation::relu}, rng);
  Dense<float> second({.in_features = 50, .out_features = 50, .activation = Activation::relu}, rng);
  Dense<float> last({.in_features = 50, .out_features = num_classes}, rng);
  return Sequential(std::move(first), std::move(second), std::move(last));
}

template <class Map, class Head>
auto make_work(bool converged, int threads) {
  Rng rng(1);
  GateBank<Map, Head> gates(Kind<Head>::options(Layer<Map> ? features : 0, num_experts, 2),
                            num_tasks, rng);
  if constexpr (std::same_as<Head, DSelectKHead<float>>) {
    for (Index t = 0; t < num_tasks && converged; ++t) converge(gates, t, {1, 6});
  }
  ListBank experts(num_experts, [&] { return make_expert(rng); });
  std::vector towers = {make_tower(rng)};
  towers.push_back(make_tower(rng));
  MultiTask model(MultiGateMixture(std::move(experts), std::move(gates)), std::move(towers),
                  std::vector<Loss<float>>(num_tasks, SoftmaxCrossEntropy<float>{}), {1.0, 1.0});
  Matrix<float> x = normal_features(features, batch, rng), labels(num_tasks, batch);
  for (float& label : labels.reshaped()) label = static_cast<float>(rng.below(num_classes));
  return train<Adam>(std::move(model), std::move(x), std::move(labels), threads);
}

template <class Map, class Head>
void add_gate(bool converged = false, int threads = 1) {
  CaseName name = CaseName("fashion_train")
                      .with("gate", Kind<Head>::name)
                      .with("static", !Layer<Map>)
                      .with("B", batch);
  if (converged) name = name.with("experts", 2);
  if (threads > 1) name = name.with("executor", threads);
  add_case(name, [=] { return make_work<Map, Head>(converged, threads); });
}

}  // namespace

void add_cases() {
  add_gate<Dense<float>, SoftmaxHead<float>>();
  add_gate<Dense<float>, TopKHead<float>>();
  add_gate<Dense<float>, DSelectKHead<float>>();
  add_gate<StaticMap<float>, DSelectKHead<float>>();
  add_gate<StaticMap<float>, DSelectKHead<float>>(true);
  add_gate<StaticMap<float>, DSelectKHead<float>>(false, 2);
}

}  // namespace selgate::benchmarks::fashion
