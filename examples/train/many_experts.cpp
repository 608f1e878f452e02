// SPDX-License-Identifier: MIT
#include "many_experts.hpp"

#include <selgate/gate/gate.hpp>
#include <selgate/metric/accuracy.hpp>
#include <selgate/mixture/dense_bank.hpp>
#include <selgate/mixture/multi_gate.hpp>
#include <selgate/optim/adagrad.hpp>
#include <selgate/train/trainer.hpp>

#include <algorithm>
#include <chrono>
#include <limits>

namespace selgate::examples {
namespace {

constexpr Index num_classes = 10;

Matrix<float> pooled(const IdxImages& images, Index size) {
  const Index rows = images.rows / size, columns = images.cols / size;
  Matrix<float> x(rows * columns, images.count);
  for (Index i = 0; i < images.count; ++i) {
    const Eigen::Map<const Matrix<std::uint8_t>> pixels(images.image(i).data(), images.cols,
                                                        images.rows);
    for (Index r = 0; r < rows; ++r) {
      for (Index c = 0; c < columns; ++c) {
        x(r * columns + c, i) = pixels.block(c * size, r * size, size, size).cast<float>().mean();
      }
    }
  }
  return x;
}

PooledImages make(const LabelledImages& images, Index size) {
  PooledImages set{pooled(images.images, size), Matrix<float>(1, images.images.count)};
  for (Index i = 0; i < set.labels.cols(); ++i) {
    set.labels(0, i) = static_cast<float>(images.labels[static_cast<std::size_t>(i)]);
  }
  return set;
}

template <class Head>
ManyExpertsResult train(const std::string& name, const typename Head::Options& gate_options,
                        const PooledSplits& data, const ManyExpertsOptions& options,
                        std::int64_t max_steps, double max_flops) {
  Rng rng(options.seed);
  const Index features = data.train.x.rows(), n = gate_options.num_experts;
  GateBank<Dense<float>, Head> gates(gate_options, 1, rng);
  DenseBank<float> experts({.in_features = features,
                            .out_features = num_classes,
                            .num_experts = n,
                            .activation = Activation::identity},
                           rng);
  experts.weight.setZero();  // an expert that has seen nothing says nothing
  MultiTask model(MultiGateMixture(std::move(experts), std::move(gates), Storage::routing),
                  std::vector<Loss<float>>{SoftmaxCrossEntropy<float>{}}, {1.0});
  using Model = decltype(model);
  Trainer<Model, Adagrad<Model>> trainer(std::move(model),
                                         AdagradOptions{.learning_rate = options.learning_rate},
                                         options.batch, options.seed);
  ManyExpertsResult result{.gate = name};
  const auto start = std::chrono::steady_clock::now();
  Matrix<float> x(features, options.batch), labels(1, options.batch);
  std::vector<Index> order;
  Index at = 0;
  for (; result.steps < max_steps && static_cast<double>(trainer.flops()) < max_flops;
       ++result.steps) {
    if (order.empty() || at + options.batch > static_cast<Index>(order.size())) {
      order = rng.permutation(data.train.x.cols());
      at = 0;
    }
    for (Index b = 0; b < options.batch; ++b) {
      const Index example = order[static_cast<std::size_t>(at++)];
      x.col(b) = data.train.x.col(example);
      labels.col(b) = data.train.labels.col(example);
    }
    trainer.step(x, {labels});
  }
  result.seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  result.training_flops = static_cast<double>(trainer.flops());

  Accuracy<float> accuracy;
  std::vector<char> used(static_cast<std::size_t>(n));
  double entries = 0;
  for (Index first = 0; first < data.test.x.cols(); first += options.batch) {
    const Index count = std::min(options.batch, data.test.x.cols() - first);
    trainer.predict(data.test.x.middleCols(first, count));
    const Matrix<float> targets = data.test.labels.middleCols(first, count);
    accuracy.add(trainer.model.prediction(trainer.cache(), 0), targets.row(0),
                 all_labelled<float>());
    const auto& routing = trainer.cache().body.weights.routing();
    entries += static_cast<double>(routing.num_entries());
    for (const std::int32_t e : routing.experts()) used[static_cast<std::size_t>(e)] = 1;
  }
  result.accuracy = accuracy.value().value();
  result.mean_experts = entries / static_cast<double>(data.test.x.cols());
  result.used_experts = std::count(used.begin(), used.end(), 1);
  return result;
}

}  // namespace

PooledSplits read_pooled_images(const std::filesystem::path& folder, Index size) {
  auto read = [&](const std::string& set) {
    return make(read_labelled_images(folder / (set + "-images-idx3-ubyte.gz"),
                                     folder / (set + "-labels-idx1-ubyte.gz")),
                size);
  };
  PooledSplits sets{read("train"), read("t10k")};
  const Vector<float> mean = sets.train.x.rowwise().mean();
  const Vector<float> deviation =
      ((sets.train.x.colwise() - mean).rowwise().squaredNorm() /
       static_cast<float>(sets.train.x.cols()))
          .cwiseSqrt();
  for (PooledImages* set : {&sets.train, &sets.test}) {
    set->x.colwise() -= mean;
    set->x.array().colwise() /= (deviation.array() > 0).select(deviation.array(), 1.0f);
  }
  return sets;
}

std::vector<ManyExpertsResult> run_many_experts(const PooledSplits& data,
                                                const ManyExpertsOptions& options) {
  require(options.batch <= data.train.x.cols(), "--batch",
          "<= " + to_text(data.train.x.cols()) + ", the training images", options.batch);
  const Index p = data.train.x.rows(), n = options.num_experts;
  const std::int64_t steps = options.epochs * (data.train.x.cols() / options.batch);
  constexpr double any = std::numeric_limits<double>::infinity();
  std::vector<ManyExpertsResult> results;
  results.push_back(train<DSelectKHead<float>>("dselect-k",
                                               {.in_features = p,
                                                .num_experts = n,
                                                .k = options.k,
                                                .gamma = options.gamma,
                                                .code_range = options.code_range},
                                               data, options, steps, any));
  const TopKOptions top_k{.in_features = p, .num_experts = n, .k = options.k};
  results.push_back(train<TopKHead<float>>("top-k", top_k, data, options, steps, any));
  results.push_back(train<TopKHead<float>>("top-k, equal FLOPs", top_k, data, options,
                                           std::numeric_limits<std::int64_t>::max(),
                                           results[0].training_flops));
  return results;
}

}  // namespace selgate::examples
