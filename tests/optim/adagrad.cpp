// SPDX-License-Identifier: MIT
#include <selgate/optim/adagrad.hpp>

#include "catch.hpp"
#include "modules.hpp"

#include <selgate/testing/dual.hpp>

#include <limits>

using namespace selgate;
using namespace selgate_test;
using Catch::Matchers::ContainsSubstring;
using Catch::Matchers::WithinAbs;

// Golden numbers: the formula in double, in a script of its own.
TEMPLATE_TEST_CASE("adagrad: three steps by hand", "", float, double, long double, Dual<double>) {
  using M = Block<TestType>;
  const double tolerance =
      8 * static_cast<double>(std::numeric_limits<TestType>::epsilon()) + 1e-15;
  const M gradients[] = {{0.5, -1, 0.25}, {-0.3, 0.2, 0}, {0.1, 0.4, -0.6}};
  const double golden[3][3] = {{0.9154845888128602, -1.904653750166349, 0.43798264809000736},
                               {0.960711283681344, -1.923385464643597, 0.43798264809000736},
                               {0.9458041660535672, -1.9584677823389554, 0.5209883722706843}};
  M model{1, -2, 0.5};
  Adagrad<M> adagrad({.learning_rate = 0.1}, model);
  for (int step = 0; step < 3; ++step) {
    adagrad.step(model, gradients[step]);
    for (int i = 0; i < 3; ++i) {
      CHECK_THAT(static_cast<double>(model.values(i)), WithinAbs(golden[step][i], tolerance));
    }
  }
}

TEST_CASE("adagrad: every entry of a block is stepped, whatever its size") {
  using M = Block<double>;
  const Index size = GENERATE(1, 31, 32, 33, 70, 256);
  M model(size), gradient(size);
  for (Index i = 0; i < size; ++i) gradient.values(i) = 1.0 / static_cast<double>(i + 1);
  Adagrad<M>({.learning_rate = 0.5, .initial_accumulator = 0.25, .epsilon = 0.125}, model)
      .step(model, gradient);
  for (Index i = 0; i < size; ++i) {
    const double dw = gradient.values(i);
    const double expected = -0.5 * dw / (std::sqrt(0.25 + dw * dw) + 0.125);
    CHECK_THAT(model.values(i), WithinAbs(expected, 1e-15));
  }
}

TEST_CASE("adagrad: from an accumulator of 0, a gradient of 0 moves nothing") {
  using M = Block<float>;
  M model{1, 2};
  Adagrad<M>({.initial_accumulator = 0}, model).step(model, {0, 0});
  CHECK(model.values == M({1, 2}).values);
}

TEST_CASE("adagrad: the learning rate can change between steps") {
  using M = Block<double>;
  M model{1};
  Adagrad<M> adagrad({}, model);
  adagrad.set_learning_rate(0.25);
  CHECK(adagrad.learning_rate() == 0.25);
  CHECK(adagrad.options().learning_rate == 0.25);
  CHECK_THROWS_AS(adagrad.set_learning_rate(0), config_error);
  CHECK(adagrad.learning_rate() == 0.25);
}

TEST_CASE("adagrad: options out of range") {
  using M = Block<float>;
  const M model(2);
  const double inf = std::numeric_limits<double>::infinity(), nan = inf - inf;
  for (const double rate : {0.0, inf, nan}) {
    CHECK_THROWS_AS(Adagrad<M>({.learning_rate = rate}, model), config_error);
  }
  for (const double initial : {-0.1, 1.1e6, inf, nan}) {
    CHECK_THROWS_AS(Adagrad<M>({.initial_accumulator = initial}, model), config_error);
    CHECK_THROWS_WITH(Adagrad<M>({.initial_accumulator = initial}, model),
                      ContainsSubstring("initial_accumulator: expected in [0, 1e6]"));
  }
  for (const double epsilon : {0.0, -1e-7, 1.1, nan, 1e-50}) {
    CHECK_THROWS_AS(Adagrad<M>({.epsilon = epsilon}, model), config_error);
    CHECK_THROWS_WITH(Adagrad<M>({.epsilon = epsilon}, model),
                      ContainsSubstring("Adagrad: epsilon: expected in (0, 1]"));
  }
}
