// SPDX-License-Identifier: MIT
#pragma once

#include <selgate/gate/dselect_k_import.hpp>
#include <selgate/train/trainer.hpp>

#include <initializer_list>

namespace selgate::benchmarks {

/// Optimizer steps of a model on one batch, by so many threads.
template <template <class> class Optimizer, class Model>
class TrainingWork {
 public:
  TrainingWork(Model model, Matrix<float> x, Matrix<float> labels, int threads)
      : executor_(threads),
        trainer_(std::move(model), still(), x.cols(), 1),
        x_(std::move(x)),
        labels_(std::move(labels)) {
    if (threads > 1) trainer_.context.executor = &executor_;
  }

  void operator()() { trainer_.step(x_, {labels_}); }

  [[nodiscard]] std::int64_t flops() const {
    const Flops ran = trainer_.model.flops(trainer_.cache());
    return ran.forward + ran.backward;
  }

 private:
  /// Steps so small that no weight moves: a DSelect-k gate that learns would get cheaper meanwhile.
  static auto still() {
    std::remove_cvref_t<decltype(std::declval<Optimizer<Model>>().options())> options;
    options.learning_rate = 1e-12;
    return options;
  }

  Executor executor_;
  Trainer<Model, Optimizer<Model>> trainer_;
  Matrix<float> x_, labels_;
};

template <template <class> class Optimizer, class Model>
auto train(Model model, Matrix<float> x, Matrix<float> labels, int threads = 1) {
  return TrainingWork<Optimizer, Model>(std::move(model), std::move(x), std::move(labels), threads);
}

/// Predictions for one batch.
template <class Model>
class InferenceWork {
 public:
  InferenceWork(Model model, Matrix<float> x)
      : model_(std::move(model)), x_(std::move(x)), cache_(model_.make_cache(x_.cols())) {}

  void operator()() { model_.forward(Context{}, x_, cache_); }

  [[nodiscard]] std::int64_t flops() const { return model_.flops(cache_).forward; }

 private:
  Model model_;
  Matrix<float> x_;
  typename Model::Cache cache_;
};

inline Matrix<float> normal_features(Index features, Index batch, Rng& rng) {
  Matrix<float> x(features, batch);
  fill_normal(x, 0, 1, rng);
  return x;
}

/// Makes the DSelect-k gate of task t choose these experts, its bits binary for good: what training
/// ends with.
template <class Gates>
void converge(Gates& gates, Index t, std::initializer_list<Index> experts) {
  Vector<float> weights = Vector<float>::Zero(gates.num_experts());
  for (const Index e : experts) weights[e] = 1.0f / static_cast<float>(experts.size());
  set_weights(gates, t, weights, 0.02);
}

}  // namespace selgate::benchmarks
