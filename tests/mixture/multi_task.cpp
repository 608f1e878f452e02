// SPDX-License-Identifier: MIT
#include <selgate/mixture/multi_task.hpp>

#include <selgate/gate/gate.hpp>
#include <selgate/layer/dense.hpp>
#include <selgate/mixture/dense_bank.hpp>
#include <selgate/mixture/multi_gate.hpp>
#include <selgate/mixture/shared_bottom.hpp>
#include <selgate/testing/gradient_check.hpp>

#include "catch.hpp"

#include <limits>
#include <string>
#include <tuple>

using namespace selgate;
using Catch::Matchers::ContainsSubstring;
using Catch::Matchers::WithinAbs;

namespace {

constexpr Index p = 4, batch = 6;

using TaskMixture =
    MultiGateMixture<DenseBank<double>, GateBank<Dense<double>, DSelectKHead<double>>>;
using Bottom = SharedBottom<Dense<double>>;

TaskMixture make_task_mixture(Index tasks, Rng& rng) {
  return {DenseBank<double>({.in_features = p, .out_features = 3, .num_experts = 5}, rng),
          GateBank<Dense<double>, DSelectKHead<double>>({.in_features = p,
                                                         .num_experts = 5,
                                                         .k = 2,
                                                         .entropy_weight = 0.1,
                                                         .penalty_weight = 0.1},
                                                        tasks, rng)};
}
Bottom make_bottom(Index tasks, Rng& rng) {
  return {Dense<double>({.in_features = p, .out_features = 3}, rng), tasks};
}
Dense<double> make_tower(Rng& rng) {
  return Dense<double>({.in_features = 3, .out_features = 1}, rng);
}

template <class Body>
MultiTask<Body, Dense<double>> make_model(Body body, std::vector<double> task_weights, Rng& rng) {
  std::vector<Dense<double>> towers;
  std::vector<Loss<double>> losses;
  for (std::size_t t = 0; t < task_weights.size(); ++t) {
    towers.push_back(make_tower(rng));
    losses.push_back(t % 2 == 0 ? Loss<double>(SquaredError<double>{})
                                : Loss<double>(BinaryCrossEntropy<double>{}));
  }
  return {std::move(body), std::move(towers), std::move(losses), std::move(task_weights)};
}

/// Targets of both kinds of loss, with a third of them masked.
struct Data {
  Matrix<double> x, values, mask;
  explicit Data(Index tasks, Rng& rng)
      : x(uniform<double>(p, batch, rng)),
        values(uniform<double>(tasks, batch, rng)),
        mask(Matrix<double>::Ones(tasks, batch)) {
    for (Index t = 1; t < tasks; t += 2) values.row(t) = (values.row(t).array() > 0).cast<double>();
    for (Index i = 0; i < mask.size(); i += 3) mask(i) = 0;
  }
  [[nodiscard]] Labels<double> labels() const { return {values, mask}; }
};

}  // namespace

TEMPLATE_TEST_CASE("multi-task model: gradient of the objective", "", TaskMixture, Bottom) {
  const int threads = GENERATE(1, 3);
  Rng rng(1);
  auto model = [&] {
    if constexpr (std::same_as<TestType, TaskMixture>) {
      return make_model(make_task_mixture(3, rng), {1, 0.5, 2}, rng);
    } else {
      return make_model(make_bottom(3, rng), {1, 0.5, 2}, rng);
    }
  }();
  const Data data(3, rng);
  Executor executor(threads);
  Context context = training(batch);
  context.executor = &executor;

  auto cache = model.make_cache(batch + 2);
  auto gradient = model.make_gradient();
  Matrix<double> dx = Matrix<double>::Zero(p, batch);
  model.forward(context, data.x, cache);
  const Objective objective = model.backward(context, data.x, data.labels(), dx, gradient, cache);
  CHECK(model.evaluate(context, data.labels(), cache).total == objective.total);

  const Index size = num_parameters(model);
  Vector<double> point(size + data.x.size()), derivatives(point.size());
  point << pack<double>(model), data.x.reshaped();
  derivatives << pack<double>(gradient), dx.reshaped();
  auto value = [&](const Vector<double>& at) {
    auto moved = model;
    unpack(Vector<double>(at.head(size)), moved);
    const Matrix<double> x = at.tail(data.x.size()).reshaped(p, batch);
    moved.forward(context, x, cache);
    return moved.evaluate(context, data.labels(), cache).total;
  };
  CHECK(value(point) == objective.total);
  for (Index i = 0; i < point.size(); ++i) {
    const Difference difference = central_difference(value, point, i);
    if (difference.asymmetry > 1e-3) continue;
    CHECK_THAT(derivatives[i], WithinAbs(difference.derivative, 1e-8));
  }

  double total = objective.regularization;
  for (std::size_t t = 0; t < 3; ++t) total += model.task_weights()[t] * objective.losses[t];
  CHECK_THAT(objective.total, WithinAbs(total, 1e-15));
  if constexpr (std::same_as<TestType, TaskMixture>) CHECK(objective.regularization > 0);
}

TEST_CASE("multi-task model: regularizers are no part of the objective outside training") {
  Rng rng(2);
  const auto model = make_model(make_task_mixture(2, rng), {1, 1}, rng);
  const Data data(2, rng);
  auto cache = model.make_cache(batch);
  model.forward({}, data.x, cache);
  const Objective& objective = model.evaluate({}, data.labels(), cache);
  CHECK(objective.regularization == 0);
  CHECK(objective.total == objective.losses[0] + objective.losses[1]);
}

TEST_CASE("multi-task model: a task without weight, or without labels, changes nothing") {
  const bool masked = GENERATE(false, true);
  Rng rng(3);
  const auto model = make_model(make_task_mixture(2, rng), {1, masked ? 1.0 : 0.0}, rng);
  Data data(2, rng);
  data.mask.setOnes();
  if (masked) {
    data.mask.row(1).setZero();
    data.values.row(1).setConstant(std::numeric_limits<double>::quiet_NaN());  // never looked at
  }
  auto cache = model.make_cache(batch);
  auto gradient = model.make_gradient();
  model.forward({}, data.x, cache);
  const Objective& objective =
      model.backward({}, data.x, data.labels(), not_wanted<double>(), gradient, cache);
  CHECK(objective.total == objective.losses[0]);
  CHECK(gradient.towers[1].weight.isZero(0));
  CHECK(gradient.body.gates.map.weight.rightCols(8).isZero(0));
  CHECK(!gradient.body.gates.map.weight.leftCols(8).isZero(0));
}

TEST_CASE("multi-task model: an empty batch") {
  Rng rng(4);
  const auto model = make_model(make_task_mixture(2, rng), {1, 1}, rng);
  auto cache = model.make_cache(batch);
  auto gradient = model.make_gradient();
  const Matrix<double> x(p, 0), values(2, 0);
  model.forward(training(0), x, cache);
  const Objective& objective =
      model.backward(training(0), x, {values}, not_wanted<double>(), gradient, cache);
  CHECK(objective.total == 0);
  CHECK(pack<double>(gradient).isZero(0));
}

TEST_CASE("multi-task model: names, and operations of all parts") {
  Rng rng(5);
  const auto model = make_model(make_bottom(2, rng), {1, 1}, rng);
  std::string text;
  for_each_named_leaf([&](const std::string& path, const auto&) { text += path + " "; }, model);
  CHECK(text == "weight bias towers.0.weight towers.0.bias towers.1.weight towers.1.bias ");
  auto cache = model.make_cache(batch);
  const Data data(2, rng);
  model.forward({}, data.x, cache);
  const Flops tower = model.towers[0].flops(batch, {}), body = model.body.flops(batch, {});
  const Flops all = model.flops(cache);
  CHECK(all.forward == body.forward + 2 * tower.forward);
  CHECK(all.backward == body.backward + 2 * (tower.backward + tower.input_gradient));
  CHECK(all.input_gradient == body.input_gradient);
}

TEST_CASE("multi-task model: says what does not fit") {
  Rng rng(6);
  auto make = [&](std::size_t towers, std::size_t losses, std::vector<double> task_weights) {
    return MultiTask<Bottom, Dense<double>>(
        make_bottom(2, rng), std::vector<Dense<double>>(towers, make_tower(rng)),
        std::vector<Loss<double>>(losses), std::move(task_weights));
  };
  CHECK_THROWS_WITH(make(1, 2, {1, 1}), "multi-task model: towers: expected 2, got 1");
  CHECK_THROWS_WITH(make(2, 3, {1, 1}), "multi-task model: losses: expected 2, got 3");
  CHECK_THROWS_WITH(make(2, 2, {1}), "multi-task model: task weights: expected 2, got 1");
  CHECK_THROWS_WITH(make(2, 2, {1, -1}),
                    "multi-task model: weight of task 1: expected a finite number >= 0, got -1");
  CHECK_THROWS_AS(make(2, 2, {1, std::nan("")}), config_error);
  CHECK_THROWS_WITH(make(2, 2, {0, 0}),
                    "multi-task model: sum of the task weights: expected > 0, got 0");
  const std::vector<Dense<double>> wide(2,
                                        Dense<double>({.in_features = 5, .out_features = 1}, rng));
  CHECK_THROWS_WITH((MultiTask<Bottom, Dense<double>>(make_bottom(2, rng), wide,
                                                      std::vector<Loss<double>>(2), {1, 1})),
                    "multi-task model: in_features of tower 0: expected 3, got 5");
}

TEST_CASE("multi-task model: refuses calls in the wrong order and labels of the wrong size") {
  Rng rng(7);
  const auto model = make_model(make_bottom(2, rng), {1, 1}, rng);
  const Data data(2, rng);
  auto cache = model.make_cache(batch);
  auto gradient = model.make_gradient();
  auto backward = [&](const Labels<double>& labels) {
    model.backward({}, data.x, labels, not_wanted<double>(), gradient, cache);
  };
  CHECK_THROWS_AS(backward(data.labels()), state_error);
  CHECK_THROWS_AS(model.evaluate({}, data.labels(), cache), state_error);
  CHECK_THROWS_AS(model.prediction(cache, 0), state_error);
  CHECK_THROWS_AS(model.forward({}, Matrix<double>::Zero(p, batch + 1), cache), shape_error);
  model.forward({}, data.x, cache);
  const Matrix<double> rows = Matrix<double>::Zero(3, batch), columns = Matrix<double>::Zero(2, 5);
  CHECK_THROWS_WITH(backward({rows}), "labels: rows (tasks): expected 2, got 3");
  CHECK_THROWS_WITH(backward({columns}), ContainsSubstring("labels: columns (examples)"));
  CHECK_THROWS_AS(backward({data.values, rows}), shape_error);
  CHECK_THROWS_WITH(backward({data.values, columns}),
                    "labels: columns of the mask (examples): expected 6, got 5");
  Matrix<double> bad = data.values;
  bad(0, 2) = std::numeric_limits<double>::quiet_NaN();
  CHECK_THROWS_AS(backward({bad}), numeric_error);
  bad(0, 2) = 0;
  bad(1, 2) = 7;
  CHECK_THROWS_AS(backward({bad}), data_error);
}

TEMPLATE_TEST_CASE_SIG("multi-task model: without towers the representation is the prediction", "",
                       ((Index units), units), 1, 2) {
  Rng rng(8);
  const Index tasks = 3;
  using Body =
      MultiGateMixture<DenseBank<double>, GateBank<StaticMap<double>, DSelectKHead<double>>>;
  const Body body(
      DenseBank<double>({.in_features = p, .out_features = units, .num_experts = 4}, rng),
      GateBank<StaticMap<double>, DSelectKHead<double>>({.num_experts = 4, .k = 2}, tasks, rng));
  const std::vector<double> task_weights = {1, 0.5, 2};
  const Loss<double> loss = units == 1 ? Loss<double>(SquaredError<double>{})
                                       : Loss<double>(SoftmaxCrossEntropy<double>{});
  const std::vector<Loss<double>> losses(tasks, loss);
  const MultiTask model(body, losses, task_weights);
  // A tower that changes nothing.
  Dense<double> same({.in_features = units, .out_features = units}, rng);
  same.weight.setIdentity();
  const MultiTask towers(body, std::vector<Dense<double>>(tasks, same), losses, task_weights);

  const Matrix<double> x = uniform<double>(p, batch, rng);
  Matrix<double> values = Matrix<double>::Zero(tasks, batch),
                 mask = Matrix<double>::Ones(tasks, batch);
  values.rightCols(2).setOnes();
  mask(1, 4) = 0;
  auto pass = [&](const auto& m) {
    auto cache = m.make_cache(batch + 3);
    auto gradient = m.make_gradient();
    Matrix<double> dx = Matrix<double>::Zero(p, batch);
    m.forward({}, x, cache);
    const Objective objective = m.backward({}, x, {values, mask}, dx, gradient, cache);
    CHECK(m.evaluate({}, {values, mask}, cache).total == objective.total);
    Matrix<double> predictions(tasks * units, batch);
    for (Index t = 0; t < tasks; ++t) {
      predictions.middleRows(t * units, units) = m.prediction(cache, t);
    }
    Vector<double> all(predictions.size() + dx.size());
    all << predictions.reshaped(), dx.reshaped();
    return std::tuple(objective.losses, all, pack<double>(gradient.body));
  };
  const auto [got_losses, got, got_gradient] = pass(model);
  const auto [expected_losses, expected, expected_gradient] = pass(towers);
  for (std::size_t t = 0; t < 3; ++t)
    CHECK_THAT(got_losses[t], WithinAbs(expected_losses[t], 1e-15));
  CHECK((got - expected).cwiseAbs().maxCoeff() <= 1e-14);
  CHECK((got_gradient - expected_gradient).cwiseAbs().maxCoeff() <= 1e-14);

  auto cache = model.make_cache(batch);
  model.forward({}, x, cache);
  const Flops all = model.flops(cache);
  CHECK(all == model.body.flops(batch, cache.body));
  CHECK(model.make_gradient().towers.empty());
}

TEST_CASE("multi-task model: tasks that share a representation need towers") {
  Rng rng(9);
  CHECK_THROWS_WITH((MultiTask(make_bottom(2, rng), std::vector<Loss<double>>(2), {1, 1})),
                    "multi-task model: towers: expected 2, got 0");
}

TEST_CASE("multi-task model: one task without towers, of any body") {
  Rng rng(10);
  const MultiTask model(make_bottom(1, rng), {SoftmaxCrossEntropy<double>{}}, {2});
  Dense<double> same({.in_features = 3, .out_features = 3}, rng);
  same.weight.setIdentity();
  const MultiTask with_tower(model.body, std::vector(1, same), model.losses(), {2});
  const Matrix<double> x = uniform<double>(p, batch, rng);
  Matrix<double> values = Matrix<double>::Zero(1, batch);
  values.rightCols(2).setOnes();
  auto pass = [&](const auto& m) {
    auto cache = m.make_cache(batch + 1);
    auto gradient = m.make_gradient();
    Matrix<double> dx = Matrix<double>::Zero(p, batch);
    m.forward({}, x, cache);
    m.backward({}, x, {values}, dx, gradient, cache);
    Vector<double> all(3 * batch + dx.size());
    all << m.prediction(cache, 0).reshaped(), dx.reshaped();
    return std::tuple(cache.objective.total, all, pack<double>(gradient.body));
  };
  const auto [got_total, got, got_gradient] = pass(model);
  const auto [expected_total, expected, expected_gradient] = pass(with_tower);
  CHECK_THAT(got_total, WithinAbs(expected_total, 1e-15));
  CHECK((got - expected).cwiseAbs().maxCoeff() <= 1e-14);
  CHECK((got_gradient - expected_gradient).cwiseAbs().maxCoeff() <= 1e-14);
}

TEST_CASE("multi-task model: labels of many tasks") {
  const Index tasks = 19;
  const bool masked = GENERATE(false, true);
  Rng rng(11);
  using Body =
      MultiGateMixture<DenseBank<double>, GateBank<StaticMap<double>, SoftmaxHead<double>>>;
  const MultiTask model(
      Body(DenseBank<double>({.in_features = p, .out_features = 1, .num_experts = 4}, rng),
           GateBank<StaticMap<double>, SoftmaxHead<double>>({.num_experts = 4}, tasks, rng)),
      std::vector<Loss<double>>(tasks, SquaredError<double>{}), std::vector<double>(tasks, 1));
  const Data data(tasks, rng);
  auto cache = model.make_cache(batch + 1);
  model.forward({}, data.x, cache);
  const Matrix<double> no_mask;
  const Labels<double> labels{data.values, masked ? data.mask : no_mask};
  const Objective& objective = model.evaluate({}, labels, cache);
  for (Index t = 0; t < tasks; ++t) {
    const Row<double> mask = masked ? Row<double>(data.mask.row(t)) : all_labelled<double>();
    const double expected = SquaredError<double>{}.evaluate(
        model.prediction(cache, t), data.values.row(t), mask, 1, not_wanted<double>());
    CHECK_THAT(objective.losses[static_cast<std::size_t>(t)], WithinAbs(expected, 1e-15));
  }
}

TEST_CASE("multi-task model: a cache or gradient of another") {
  Rng rng(8);
  const auto model = make_model(make_bottom(2, rng), {1, 1}, rng);
  const auto third = make_model(make_bottom(3, rng), {1, 1, 1}, rng);
  const Data data(2, rng);
  auto cache = model.make_cache(batch), others = third.make_cache(batch);
  auto gradient = third.make_gradient();
  CHECK_THROWS_AS(model.forward({}, data.x, others), state_error);
  CHECK_THROWS_WITH(model.forward({}, data.x, others),
                    "multi-task model: tasks of the cache: expected 2, got 3");
  model.forward({}, data.x, cache);
  CHECK_THROWS_WITH(
      model.backward({}, data.x, data.labels(), not_wanted<double>(), gradient, cache),
      "multi-task model: towers of the gradient: expected 2, got 3");
}
