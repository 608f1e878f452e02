// SPDX-License-Identifier: MIT
#include <selgate/optim/optimizer.hpp>

#include "catch.hpp"
#include "modules.hpp"

#include <selgate/core/random.hpp>
#include <selgate/optim/adagrad.hpp>
#include <selgate/optim/adam.hpp>
#include <selgate/optim/sgd.hpp>

#include <cmath>
#include <limits>

using namespace selgate;
using namespace selgate_test;
using Catch::Matchers::ContainsSubstring;

static_assert(Optimizer<Sgd<Pair<float>>, Pair<float>>);
static_assert(Optimizer<Adagrad<Table<double>>, Table<double>>);
static_assert(Optimizer<Adam<Pair<double>>, Pair<double>>);

namespace {

template <class Optim, class M>
Vector<double> state(const Optim& optimizer, const M& model) {
  const Vector<double> moments = pack<double>(optimizer), weights = pack<double>(model);
  Vector<double> all(moments.size() + weights.size());
  all << moments, weights;
  return all;
}

}  // namespace

TEMPLATE_TEST_CASE("optimizer: a gradient that is not finite changes nothing", "", float, double) {
  using Limits = std::numeric_limits<TestType>;
  using M = Pair<TestType>;
  const TestType bad = GENERATE(Limits::quiet_NaN(), Limits::infinity(), -Limits::infinity(),
                                Limits::max(), Limits::lowest());
  auto refuses = [bad](auto optimizer, M model) {
    M gradient(4, 9);
    gradient.weight.setConstant(TestType(0.5));
    gradient.bias.setConstant(TestType(-0.5));
    optimizer.step(model, gradient);  // moments that are not 0
    const Vector<double> before = state(optimizer, model);
    for (const Index entry : {0, 17, 31, 32, 35}) {
      M broken = gradient;
      broken.weight.data()[entry] = bad;
      CHECK_THROWS_AS(optimizer.step(model, broken), numeric_error);
      CHECK_THROWS_WITH(optimizer.step(model, broken),
                        ContainsSubstring("gradient of weight, entry " + to_text(entry) + ":"));
      CHECK_THROWS_WITH(optimizer.step(model, broken),
                        ContainsSubstring("got " + to_text(static_cast<double>(bad))));
    }
    M last = gradient;
    last.bias(8) = bad;
    CHECK_THROWS_WITH(optimizer.step(model, last), ContainsSubstring("gradient of bias, entry 8:"));
    CHECK(state(optimizer, model) == before);
    optimizer.step(model, gradient);
    CHECK_FALSE(state(optimizer, model) == before);
  };
  const M model(4, 9);
  refuses(Sgd<M>({}, model), model);
  refuses(Sgd<M>({.momentum = 0.9}, model), model);
  refuses(Adagrad<M>({}, model), model);
  refuses(Adam<M>({}, model), model);
}

TEMPLATE_TEST_CASE("optimizer: the largest gradients it takes leave everything finite", "", float,
                   double) {
  using M = Block<TestType>;
  const double limit =
      std::sqrt(static_cast<double>(std::numeric_limits<TestType>::max())) * 0x1p-16;
  auto survives = [limit](auto optimizer, M model) {
    M gradient(40);
    gradient.values.setConstant(static_cast<TestType>(limit * 0.999));
    for (int i = 0; i < 1000; ++i) optimizer.step(model, gradient);
    CHECK(state(optimizer, model).allFinite());
    gradient.values(39) = static_cast<TestType>(limit * 1.001);
    CHECK_THROWS_AS(optimizer.step(model, gradient), numeric_error);
  };
  const M model(40);
  survives(Sgd<M>({.learning_rate = 1}, model), model);
  survives(Sgd<M>({.momentum = 0.9}, model), model);
  survives(Adagrad<M>({}, model), model);
  survives(Adam<M>({}, model), model);
}

TEST_CASE("optimizer: a model or gradient of another shape is refused by block") {
  using M = Pair<double>;
  const M made(3, 4);
  auto refuses = [&](auto optimizer) {
    M other(3, 5), same = made;
    CHECK_THROWS_AS(optimizer.step(other, same), shape_error);
    CHECK_THROWS_WITH(optimizer.step(other, same),
                      "optimizer: model, block weight: expected 4 x 3, got 5 x 3");
    CHECK_THROWS_AS(optimizer.step(same, other), shape_error);
    CHECK_THROWS_WITH(optimizer.step(same, other),
                      "optimizer: gradient, block weight: expected 4 x 3, got 5 x 3");
    M bias = made;
    bias.bias.resize(7);
    CHECK_THROWS_WITH(optimizer.step(bias, same),
                      "optimizer: model, block bias: expected 4, got 7");
  };
  refuses(Sgd<M>({}, made));
  refuses(Adagrad<M>({}, made));
  refuses(Adam<M>({}, made));

  using L = BlockList<double>;
  const L two{{Block<double>(3), Block<double>(4)}};
  L three{{Block<double>(3), Block<double>(4), Block<double>(5)}}, one{{Block<double>(3)}};
  Adagrad<L> adagrad({}, two);
  CHECK_THROWS_AS(adagrad.step(three, two), shape_error);
  CHECK_THROWS_WITH(adagrad.step(three, two),
                    "optimizer: model, block 2.values: expected no such block, got 5");
  CHECK_THROWS_AS(adagrad.step(one, two), shape_error);
  CHECK_THROWS_WITH(adagrad.step(one, two), "optimizer: model: expected 2 blocks, got 1");
}

TEST_CASE("optimizer: no parameters, nothing to do") {
  Nothing model;
  Sgd<Nothing>({.momentum = 0.5}, model).step(model, Nothing{});
  Adagrad<Nothing>({}, model).step(model, Nothing{});
  Adam<Nothing> adam({}, model);
  adam.step(model, Nothing{});
  CHECK(num_parameters(adam) == 0);
}

TEMPLATE_TEST_CASE("optimizer: untouched blocks are neither read nor stepped", "", float, double) {
  using T = Table<TestType>;
  const TestType nan = std::numeric_limits<TestType>::quiet_NaN();
  auto skips = [nan](auto optimizer, T model) {
    model.columns.setConstant(TestType(1));
    typename T::Gradient gradient(model);
    gradient.columns.setConstant(nan);
    model.columns.col(3).setConstant(nan);
    for (const Index row : {4, 1}) {
      gradient.touched.insert(row);
      gradient.columns.col(row).setConstant(TestType(0.5));
    }
    optimizer.step(model, gradient);
    const Vector<double> moments = pack<double>(optimizer);
    for (Index row = 0; row < 5; ++row) {
      const bool moved = (model.columns.col(row).array() < TestType(1)).all();
      CHECK(moved == gradient.touched.contains(row));
    }
    CHECK(model.columns.col(0) == Vector<TestType>::Ones(3));
    CHECK(moments.allFinite());
  };
  const T model(5, 3);
  skips(Sgd<T>({}, model), model);
  skips(Sgd<T>({.momentum = 0.9, .untouched = Untouched::lazy}, model), model);
  skips(Adagrad<T>({}, model), model);
  skips(Adam<T>({.untouched = Untouched::lazy}, model), model);

  typename T::Gradient gradient(model);
  gradient.touched.insert(2);
  gradient.columns(1, 2) = nan;
  T unchanged = model;
  Adagrad<T> adagrad({}, model);
  CHECK_THROWS_WITH(adagrad.step(unchanged, gradient),
                    ContainsSubstring("gradient of table, entry 7:"));
}

TEMPLATE_TEST_CASE("optimizer: dense equals lazy where every block is touched", "", float, double) {
  using T = Table<TestType>;
  // Eigen's root of a float in a packet is not rounded as std::sqrt, and rows are cut otherwise.
  const double tolerance = std::is_same_v<TestType, float> ? 2e-7 : 0;
  Rng rng(7);
  T start(6, 5);
  fill_uniform(start.columns, -1, 1, rng);
  auto agree = [&](auto dense, auto lazy) {
    T dense_model = start, lazy_model = start;
    for (int i = 0; i < 5; ++i) {
      typename T::Gradient gradient(start);
      fill_uniform(gradient.columns, -1, 1, rng);
      for (Index row = 0; row < 6; ++row) gradient.touched.insert(row);
      dense.step(dense_model, gradient);
      lazy.step(lazy_model, gradient);
    }
    const Vector<double> a = state(dense, dense_model), b = state(lazy, lazy_model);
    CHECK((a - b).cwiseAbs().maxCoeff() <= tolerance);
    CHECK_FALSE(dense_model.columns == start.columns);
  };
  agree(Adam<T>({.untouched = Untouched::dense}, start),
        Adam<T>({.untouched = Untouched::lazy}, start));
  agree(Sgd<T>({.momentum = 0.5, .untouched = Untouched::dense}, start),
        Sgd<T>({.momentum = 0.5, .untouched = Untouched::lazy}, start));
}

TEST_CASE("optimizer: dense momentum moves a block on that is no longer touched") {
  using T = Table<double>;
  const T start(3, 2);
  auto travel_after_touch = [&](auto optimizer) {
    T model = start;
    typename T::Gradient gradient(start);
    gradient.touched.insert(1);
    gradient.columns.col(1).setConstant(1);
    optimizer.step(model, gradient);
    const double first = model.columns(0, 1);
    set_zero(gradient);
    optimizer.step(model, gradient);
    return model.columns(0, 1) - first;
  };
  CHECK(travel_after_touch(Sgd<T>({.learning_rate = 0.25, .momentum = 0.5}, start)) == -0.125);
  CHECK(travel_after_touch(Sgd<T>(
            {.learning_rate = 0.25, .momentum = 0.5, .untouched = Untouched::lazy}, start)) == 0);
  CHECK(travel_after_touch(Adam<T>({}, start)) < -1e-4);
  CHECK(travel_after_touch(Adam<T>({.untouched = Untouched::lazy}, start)) == 0);
}

TEST_CASE("optimizer: a dense step checks what it reads") {
  using T = Table<double>;
  T model(3, 2);
  typename T::Gradient gradient(model);
  gradient.columns(1, 2) = std::numeric_limits<double>::quiet_NaN();
  Adam<T> adam({}, model);
  CHECK_THROWS_WITH(adam.step(model, gradient), ContainsSubstring("gradient of table, entry 5:"));
  CHECK(model.columns.isZero(0));
}

TEST_CASE("optimizer: a copy is equal and independent") {
  using M = Block<double>;
  M model{1, 2, 3};
  const M gradient{1, -1, 0.5};
  Adam<M> adam({}, model);
  adam.step(model, gradient);
  Adam<M> copy = adam;
  M other = model;
  copy.step(other, gradient);
  CHECK(copy.time() == 2);
  CHECK(adam.time() == 1);
  adam.step(model, gradient);
  CHECK(model.values == other.values);
  CHECK(pack<double>(adam) == pack<double>(copy));
}
