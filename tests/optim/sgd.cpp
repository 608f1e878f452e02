// SPDX-License-Identifier: MIT
#include <selgate/optim/sgd.hpp>

#include "catch.hpp"
#include "modules.hpp"

#include <selgate/testing/dual.hpp>

#include <limits>

using namespace selgate;
using namespace selgate_test;
using Catch::Matchers::ContainsSubstring;
using Catch::Matchers::WithinAbs;

TEMPLATE_TEST_CASE("sgd: three steps by hand", "", float, double, long double, Dual<double>) {
  using M = Block<TestType>;
  const double tolerance =
      8 * static_cast<double>(std::numeric_limits<TestType>::epsilon()) + 1e-16;
  const M gradients[] = {{0.5, -1, 0.25}, {-0.3, 0.2, 0}, {0.1, 0.4, -0.6}};
  const double plain[3][3] = {{0.95, -1.9, 0.475}, {0.98, -1.92, 0.475}, {0.97, -1.96, 0.535}};
  const double momentum[3][3] = {
      {0.95, -1.9, 0.475}, {0.935, -1.83, 0.4525}, {0.9115, -1.807, 0.49225}};

  M model{1, -2, 0.5}, heavy = model;
  Sgd<M> sgd({.learning_rate = 0.1}, model);
  Sgd<M> heavy_sgd({.learning_rate = 0.1, .momentum = 0.9}, model);
  CHECK(num_parameters(sgd) == 0);
  CHECK(num_parameters(heavy_sgd) == 3);
  for (int step = 0; step < 3; ++step) {
    sgd.step(model, gradients[step]);
    heavy_sgd.step(heavy, gradients[step]);
    for (int i = 0; i < 3; ++i) {
      CHECK_THAT(static_cast<double>(model.values(i)), WithinAbs(plain[step][i], tolerance));
      CHECK_THAT(static_cast<double>(heavy.values(i)), WithinAbs(momentum[step][i], tolerance));
    }
  }
}

TEST_CASE("sgd: the learning rate can change between steps") {
  using M = Block<double>;
  M model{1};
  Sgd<M> sgd({.learning_rate = 0.5}, model);
  sgd.step(model, {1});
  sgd.set_learning_rate(0.25);
  CHECK(sgd.learning_rate() == 0.25);
  sgd.step(model, {1});
  CHECK(model.values(0) == 0.25);
}

TEST_CASE("sgd: options out of range") {
  using M = Block<float>;
  const M model(2);
  const double inf = std::numeric_limits<double>::infinity(), nan = inf - inf;
  for (const double rate : {0.0, -0.1, 1.1e6, inf, nan, 1e-50}) {
    CHECK_THROWS_AS(Sgd<M>({.learning_rate = rate}, model), config_error);
    CHECK_THROWS_WITH(Sgd<M>({.learning_rate = rate}, model),
                      ContainsSubstring("SGD: learning_rate: expected in (0, 1e6]"));
    Sgd<M> sgd({}, model);
    CHECK_THROWS_AS(sgd.set_learning_rate(rate), config_error);
    CHECK(sgd.learning_rate() == 0.01);
  }
  for (const double momentum : {-0.1, 1.0, inf, nan, 1 - 1e-9}) {
    CHECK_THROWS_AS(Sgd<M>({.momentum = momentum}, model), config_error);
    CHECK_THROWS_WITH(Sgd<M>({.momentum = momentum}, model),
                      ContainsSubstring("SGD: momentum: expected in [0, 1)"));
  }
}
