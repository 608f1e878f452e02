// SPDX-License-Identifier: MIT
// A recommender of the size that the DSelect-k paper trains on MovieLens: 8 experts of 256 ReLU
// units on 128 features, a gate and a tower of 256 units a task, one task a classification and one
// a regression.

#include "case.hpp"
#include "gate_kind.hpp"
#include "model_work.hpp"

#include <selgate/layer/sequential.hpp>
#include <selgate/mixture/dense_bank.hpp>
#include <selgate/mixture/multi_gate.hpp>
#include <selgate/optim/adagrad.hpp>

namespace selgate::benchmarks::movielens {
namespace {

constexpr Index features = 128, num_experts = 8, units = 256, num_tasks = 2, train_batch = 128;

/// Gates as they start, or DSelect-k gates that have chosen: 2 experts for both tasks, or 2 for
/// each. In training `dropout` of the experts' units are dropped.
template <class Map, class Head>
auto make_model(Storage storage, Index restricted, double dropout, Rng& rng) {
  auto options = Kind<Head>::options(Layer<Map> ? features : 0, num_experts, 2);
  options.bias = true;  // where a per-example gate that has converged keeps its code
  GateBank<Map, Head> gates(options, num_tasks, rng);
  if constexpr (std::same_as<Head, DSelectKHead<float>>) {
    if (restricted == 2) {
      for (Index t = 0; t < num_tasks; ++t) converge(gates, t, {1, 6});
    } else if (restricted == 4) {
      converge(gates, 0, {1, 4});
      converge(gates, 1, {3, 6});
    }
  }
  DenseBank<float> experts({.in_features = features,
                            .out_features = units,
                            .num_experts = num_experts,
                            .dropout = dropout},
                           rng);
  auto make_tower = [&] {
    Dense<float> hidden({.in_features = units, .out_features = 256, .activation = Activation::relu},
                        rng);
    Dense<float> last({.in_features = 256, .out_features = 1}, rng);
    return Sequential(std::move(hidden), std::move(last));
  };
  std::vector towers = {make_tower()};
  towers.push_back(make_tower());
  return MultiTask(MultiGateMixture(std::move(experts), std::move(gates), storage),
                   std::move(towers), {BinaryCrossEntropy<float>{}, SquaredError<float>{}},
                   {0.5, 0.5});
}

Matrix<float> make_labels(Rng& rng) {
  Matrix<float> labels(num_tasks, train_batch);
  for (Index b = 0; b < train_batch; ++b) {
    labels(0, b) = rng.uniform() < 0.5 ? 0.0f : 1.0f;
    labels(1, b) = static_cast<float>(rng.uniform(1, 5));
  }
  return labels;
}

template <class Map, class Head>
CaseName case_name(const char* what, Index batch) {
  return CaseName(what).with("gate", Kind<Head>::name).with("static", !Layer<Map>).with("B", batch);
}

template <class Map, class Head>
void add_training(const CaseName& name, Storage storage, Index restricted, int threads = 1) {
  for (const bool drops : {false, true}) {
    add_case(name.with("dropout", drops ? "bits" : "none"), [=] {
      Rng rng(1);
      auto model = make_model<Map, Head>(storage, restricted, drops ? 0.5 : 0, rng);
      Matrix<float> x = normal_features(features, train_batch, rng);
      return train<Adagrad>(std::move(model), std::move(x), make_labels(rng), threads);
    });
  }
}

template <class Map, class Head>
void add_inference(const CaseName& name, Index batch, Index restricted) {
  add_case(name, [=] {
    Rng rng(1);
    auto model = make_model<Map, Head>(Storage::dense, restricted, 0, rng);
    return InferenceWork(std::move(model), normal_features(features, batch, rng));
  });
}

/// Reads the weights of the experts that are left and of the towers, and does nothing else: what
/// inference of one example cannot go below.
class Reading {
 public:
  explicit Reading(Index restricted)
      : weights_(features * units * restricted + num_tasks * units * units) {
    weights_.setZero();
  }
  void operator()() { benchmark::DoNotOptimize(weights_.array().sum()); }

 private:
  Vector<float> weights_;
};

template <class Map, class Head>
void add_gate() {
  const CaseName training = case_name<Map, Head>("movielens_train", train_batch);
  constexpr bool is_dselect_k = std::same_as<Head, DSelectKHead<float>>;
  add_training<Map, Head>(training, Storage::dense, num_experts);
  if (std::same_as<Head, TopKHead<float>> && Layer<Map>) {
    add_training<Map, Head>(training.with("impl", "selgate_conditional"), Storage::routing,
                            num_experts);
  }
  if (is_dselect_k && !Layer<Map>) {
    add_training<Map, Head>(training.with("executor", 2), Storage::dense, num_experts, 2);
    for (const Index restricted : {4, 2}) {
      add_training<Map, Head>(training.with("experts", restricted), Storage::dense, restricted);
    }
  }
  for (const Index batch : {1, 128}) {
    const CaseName inference = case_name<Map, Head>("movielens_infer", batch);
    add_inference<Map, Head>(inference, batch, num_experts);
    if (is_dselect_k) add_inference<Map, Head>(inference.with("experts", 2), batch, 2);
  }
}

}  // namespace

void add_cases() {
  add_gate<Dense<float>, SoftmaxHead<float>>();
  add_gate<Dense<float>, TopKHead<float>>();
  add_gate<Dense<float>, DSelectKHead<float>>();
  add_gate<StaticMap<float>, SoftmaxHead<float>>();
  add_gate<StaticMap<float>, TopKHead<float>>();
  add_gate<StaticMap<float>, DSelectKHead<float>>();
  for (const Index restricted : {num_experts, Index{2}}) {
    add_case(CaseName("movielens_read").with("experts", restricted),
             [=] { return Reading(restricted); });
  }
}

}  // namespace selgate::benchmarks::movielens
