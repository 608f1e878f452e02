// SPDX-License-Identifier: MIT
#include <selgate/train/trainer.hpp>

#include "catch.hpp"

#include <selgate/gate/gate.hpp>
#include <selgate/mixture/dense_bank.hpp>
#include <selgate/mixture/multi_gate.hpp>
#include <selgate/optim/adam.hpp>

#include <algorithm>
#include <limits>

namespace selgate {
namespace {

constexpr Index features = 6, experts = 8, batch = 150;

template <class S>
auto make_model() {
  Rng rng(1);
  DenseBank<S> bank({.in_features = features, .out_features = 5, .num_experts = experts}, rng);
  GateBank<Dense<S>, DSelectKHead<S>> gates({.in_features = features,
                                             .num_experts = experts,
                                             .k = 2,
                                             .gamma = 0.5,
                                             .entropy_weight = 0.05},
                                            2, rng);
  const Dense<S> tower({.in_features = 5, .out_features = 1}, rng);
  return MultiTask(MultiGateMixture(std::move(bank), std::move(gates)), std::vector{tower, tower},
                   {SquaredError<S>{}, BinaryCrossEntropy<S>{}}, {0.5, 0.5});
}
template <class S>
using Model = decltype(make_model<S>());

template <class S>
struct Data {
  Matrix<S> x, labels;
};
template <class S>
Data<S> make_data() {
  Rng rng(2);
  Data<S> data{uniform<S>(features, batch, rng), Matrix<S>(2, batch)};
  for (Index b = 0; b < batch; ++b) {
    data.labels(0, b) = data.x(0, b) * data.x(0, b);
    data.labels(1, b) = data.x(1, b) > S(0) ? S(1) : S(0);
  }
  return data;
}

}  // namespace

TEMPLATE_TEST_CASE("trainer: learns both tasks, and counts what ran", "", float, double) {
  const auto data = make_data<TestType>();
  Trainer<Model<TestType>, Adam<Model<TestType>>> trainer(
      make_model<TestType>(), AdamOptions{.learning_rate = 1e-2}, batch, 1);
  const Objective first = trainer.step(data.x, {data.labels});
  const std::int64_t flops = trainer.flops();
  for (int i = 0; i < 300; ++i) trainer.step(data.x, {data.labels});
  const Objective last = trainer.step(data.x, {data.labels});
  CHECK(last.losses[0] < first.losses[0] / 10);
  CHECK(last.losses[1] < first.losses[1] / 5);
  CHECK(last.total < first.total);
  CHECK(trainer.context.step == 302);
  CHECK(flops > 0);
  CHECK(trainer.flops() < 302 * flops);  // bits turn binary: later steps run fewer experts
}

TEST_CASE("trainer: any number of threads gives the same bits") {
  const auto data = make_data<float>();
  auto parameters = [&](int threads) {
    Executor executor(std::max(threads, 1));
    Trainer<Model<float>, Adam<Model<float>>> trainer(make_model<float>(), AdamOptions{}, batch, 1);
    if (threads > 0) trainer.context.executor = &executor;
    for (int i = 0; i < 20; ++i) trainer.step(data.x, {data.labels});
    return pack<float>(trainer.model);
  };
  const Vector<float> one = parameters(1);
  CHECK(parameters(0) == one);  // no executor at all
  CHECK(parameters(2) == one);
  CHECK(parameters(4) == one);
}

TEST_CASE("trainer: a step that fails leaves the model as it was") {
  const auto data = make_data<double>();
  Trainer<Model<double>, Adam<Model<double>>> trainer(make_model<double>(), AdamOptions{}, batch,
                                                      1);
  trainer.step(data.x, {data.labels});
  const Vector<double> before = pack<double>(trainer.model);
  const double nan = std::numeric_limits<double>::quiet_NaN();

  Matrix<double> bad = data.labels;
  bad(0, 7) = nan;
  CHECK_THROWS_AS(trainer.step(data.x, {bad}), numeric_error);
  bad = data.x;
  bad(2, 3) = nan;
  CHECK_THROWS_AS(trainer.step(bad, {data.labels}), numeric_error);
  CHECK_THROWS_AS(trainer.step(data.x.topRows(3), {data.labels}), shape_error);
  CHECK_THROWS_WITH(trainer.step(data.x.leftCols(0), {data.labels.leftCols(0)}),
                    "training step: columns of x: expected >= 1, got 0");
  CHECK(pack<double>(trainer.model) == before);
  CHECK(trainer.context.step == 1);

  trainer.step(data.x, {data.labels});  // and goes on
  CHECK(trainer.context.step == 2);
  CHECK(pack<double>(trainer.model).allFinite());
}

TEST_CASE("trainer: a masked label is never looked at") {
  auto data = make_data<double>();
  Matrix<double> mask = Matrix<double>::Ones(2, batch);
  mask(0, 5) = 0;
  auto train = [&](double value) {
    Trainer<Model<double>, Adam<Model<double>>> trainer(make_model<double>(), AdamOptions{}, batch,
                                                        1);
    data.labels(0, 5) = value;
    trainer.step(data.x, {data.labels, mask});
    return pack<double>(trainer.model);
  };
  CHECK(train(0) == train(std::numeric_limits<double>::quiet_NaN()));
}

}  // namespace selgate
