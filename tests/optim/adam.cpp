// SPDX-License-Identifier: MIT
#include <selgate/optim/adam.hpp>

#include "catch.hpp"
#include "modules.hpp"

#include <selgate/testing/dual.hpp>

#include <limits>

using namespace selgate;
using namespace selgate_test;
using Catch::Matchers::ContainsSubstring;
using Catch::Matchers::WithinAbs;

// Golden numbers: the formula in double, in a script of its own. The large epsilon tells where it
// stands: inside the correction of v the first step would be 0.917, not 0.986.
TEMPLATE_TEST_CASE("adam: three steps by hand", "", float, double, long double, Dual<double>) {
  using M = Block<TestType>;
  const double tolerance =
      16 * static_cast<double>(std::numeric_limits<TestType>::epsilon()) + 1e-15;
  const M gradients[] = {{0.5, -1, 0.25}, {-0.3, 0.2, 0}, {0.1, 0.4, -0.6}};
  const double golden[3][3] = {{0.900000632451532, -1.900000316226766, 0.40000126489506416},
                               {0.8808509328208318, -1.8488978670466378, 0.3329962874588781},
                               {0.8554545496155278, -1.8354739458364608, 0.37206778329729917}};
  const double golden_large[3][3] = {
      {0.9863472940504185, -1.9759746926647959, 0.4926735153203311},
      {0.9833668988171409, -1.9635178130408848, 0.4877666191901773},
      {0.9793672793823742, -1.9600662199643495, 0.49442759277212034}};
  M model{1, -2, 0.5}, large = model;
  Adam<M> adam({.learning_rate = 0.1}, model);
  Adam<M> large_adam({.learning_rate = 0.1, .epsilon = 0.1}, large);
  for (int step = 0; step < 3; ++step) {
    adam.step(model, gradients[step]);
    large_adam.step(large, gradients[step]);
    for (int i = 0; i < 3; ++i) {
      CHECK_THAT(static_cast<double>(model.values(i)), WithinAbs(golden[step][i], tolerance));
      CHECK_THAT(static_cast<double>(large.values(i)), WithinAbs(golden_large[step][i], tolerance));
    }
  }
}

TEST_CASE("adam: every entry of a block is stepped, whatever its size") {
  using M = Block<double>;
  const Index size = GENERATE(1, 31, 32, 33, 70, 256);
  M model(size), gradient(size);
  for (Index i = 0; i < size; ++i) gradient.values(i) = 1.0 / static_cast<double>(i + 1);
  Adam<M>({.learning_rate = 0.5, .beta1 = 0, .beta2 = 0, .epsilon = 0.125}, model)
      .step(model, gradient);
  for (Index i = 0; i < size; ++i) {
    CHECK_THAT(model.values(i),
               WithinAbs(-0.5 * gradient.values(i) / (gradient.values(i) + 0.125), 1e-15));
  }
}

TEST_CASE("adam: one clock for all blocks, right far out") {
  using M = Pair<double>;
  M model(2, 3), gradient(2, 3);
  gradient.weight.setOnes();
  gradient.bias.setOnes();
  Adam<M> adam({}, model);
  adam.step(model, gradient);
  adam.step(model, gradient);
  CHECK(adam.time() == 2);
  CHECK(model.weight(0, 0) == model.bias(2));

  // So late both corrections are 1 and, with equal gradients, m and v are dw and dw^2.
  const std::int64_t late = std::int64_t{1} << 40;
  using B = Block<double>;
  B block{0};
  Adam<B> far({.learning_rate = 0.5, .beta1 = 0, .beta2 = 0.5, .epsilon = 1e-7}, block);
  far.set_time(late);
  far.step(block, {1});
  CHECK(far.time() == late + 1);
  CHECK_THAT(block.values(0), WithinAbs(-0.5 / (std::sqrt(0.5) + 1e-7), 1e-15));
  CHECK_THROWS_AS(far.set_time(-1), config_error);
  CHECK(far.time() == late + 1);
}

TEST_CASE("adam: state restored through visit and time continues to the same bits") {
  using M = Block<float>;
  M model{1, -2, 0.5};
  const M gradient{0.5, -1, 0.25}, next{-0.3, 0.2, 0};
  Adam<M> adam({}, model);
  adam.step(model, gradient);
  Adam<M> restored({}, model);
  unpack(pack<float>(adam), restored);
  restored.set_time(adam.time());
  M other = model;
  adam.step(model, next);
  restored.step(other, next);
  CHECK(model.values == other.values);
  std::vector<std::string> names;
  for_each_named_leaf([&](const std::string& path, const auto&) { names.push_back(path); }, adam);
  CHECK(names == std::vector<std::string>{"m.values", "v.values"});
}

TEST_CASE("adam: the learning rate can change between steps") {
  using M = Block<double>;
  M model{1};
  Adam<M> adam({}, model);
  adam.set_learning_rate(0.25);
  CHECK(adam.learning_rate() == 0.25);
  CHECK_THROWS_AS(adam.set_learning_rate(-1), config_error);
  CHECK(adam.options().learning_rate == 0.25);
}

TEST_CASE("adam: options out of range") {
  using M = Block<float>;
  const M model(2);
  const double inf = std::numeric_limits<double>::infinity(), nan = inf - inf;
  for (const double bad : {-0.1, 1.0, inf, nan, 1 - 1e-9}) {
    CHECK_THROWS_AS(Adam<M>({.beta1 = bad}, model), config_error);
    CHECK_THROWS_WITH(Adam<M>({.beta1 = bad}, model),
                      ContainsSubstring("Adam: beta1: expected in [0, 1)"));
    CHECK_THROWS_AS(Adam<M>({.beta2 = bad}, model), config_error);
    CHECK_THROWS_WITH(Adam<M>({.beta2 = bad}, model),
                      ContainsSubstring("beta2: expected in [0, 1)"));
  }
  for (const double bad : {0.0, inf, nan}) {
    CHECK_THROWS_AS(Adam<M>({.learning_rate = bad}, model), config_error);
    CHECK_THROWS_AS(Adam<M>({.epsilon = bad}, model), config_error);
  }
}
