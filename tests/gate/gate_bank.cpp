// SPDX-License-Identifier: MIT
#include <selgate/gate/gate_bank.hpp>

#include <selgate/gate/gate.hpp>
#include <selgate/testing/gate_laws.hpp>

#include "catch.hpp"

#include <string>

using namespace selgate;
using Catch::Matchers::WithinAbs;

namespace {

template <class S>
using LinearBank = GateBank<Dense<S>, DSelectKHead<S>>;
template <class S>
using StaticBank = GateBank<StaticMap<S>, DSelectKHead<S>>;

constexpr DSelectKOptions options{.in_features = 6, .num_experts = 5, .k = 2};

template <class Bank>
auto weights_of(const Bank& bank, const Matrix<typename Bank::Scalar>& x) {
  auto weights = bank.make_output(x.cols());
  auto cache = bank.make_cache(x.cols());
  bank.forward(Context{}, x, weights, cache);
  return weights.to_dense();
}
std::string names(const auto& module) {
  std::string text;
  for_each_named_leaf(
      [&](const std::string& path, const auto& leaf) {
        text += path;
        for (int i = 0; i < leaf.shape.rank; ++i) text += " " + to_text(leaf.shape[i]);
        text += "\n";
      },
      module);
  return text;
}

}  // namespace

TEST_CASE("gate bank: laws of DSelect-k gates on a linear map") {
  // 3 gates have 24 logits, and 9 have 72: more than the kernel for few outputs takes at once.
  const Index tasks = GENERATE(1, 3, 9);
  const bool bias = GENERATE(true, false);
  const LawReport report = check_gate(
      [&](auto scalar, Rng& rng) {
        DSelectKOptions changed = options;
        changed.entropy_weight = 0.1;
        changed.penalty_weight = 0.01;
        changed.bias = bias;
        return LinearBank<decltype(scalar)>(changed, tasks, rng);
      },
      {.layer = {.batch = 9,
                 .parameter_noise = 0.3,
                 .bit_equal_batches = true,
                 .max_coordinates = 100}});
  INFO(report.failures());
  CHECK(report.ok());
}

TEMPLATE_TEST_CASE("gate bank: a gate has the same bits alone and in a bank", "", float, double) {
  using S = TestType;
  Rng rng(1);
  const LinearBank<S> bank(options, 9, rng);
  const Matrix<S> x = uniform<S>(6, 7, rng, -9, 9);
  const Matrix<S> all = weights_of(bank, x);
  for (Index t = 0; t < 9; ++t) {
    LinearBank<S> alone(options, 1, rng);
    auto gate = alone.task(0);
    const auto source = bank.task(t);
    for_each_leaf([](const auto& to, const auto& from) { to.array() = from.array(); }, gate, source);
    const Matrix<S> one = weights_of(alone, x);
    for (Index b = 0; b < 7; ++b) CHECK(one.col(b) == all.col(b * 9 + t));
  }
}

TEST_CASE("gate bank: parameters have the names and shapes of files") {
  Rng rng(1);
  const std::string zero = "0.G 2 6\n0.G_bias 2\n0.W 2 3 6\n0.W_bias 2 3\n";
  CHECK(names(LinearBank<float>(options, 1, rng)) == zero);
  CHECK(names(LinearBank<float>(options, 2, rng)) ==
        zero + "1.G 2 6\n1.G_bias 2\n1.W 2 3 6\n1.W_bias 2 3\n");
  CHECK(names(StaticBank<float>(options, 2, rng)) ==
        "0.alpha 2\n0.Z 2 3\n1.alpha 2\n1.Z 2 3\n");
  DSelectKOptions no_bias = options;
  no_bias.bias = false;
  CHECK(names(LinearBank<float>(no_bias, 1, rng)) == "0.G 2 6\n0.W 2 3 6\n");
  using SoftmaxBank = GateBank<Dense<float>, SoftmaxHead<float>>;
  CHECK(names(SoftmaxBank({.in_features = 6, .num_experts = 5}, 1, rng)) == "0.A 5 6\n0.b 5\n");
  CHECK(names(LinearBank<float>(options, 2, rng).make_gradient()) ==
        names(LinearBank<float>(options, 2, rng)));
}

TEST_CASE("gate bank: initial laws") {
  Rng rng(1);
  const DSelectKOptions many{.in_features = 50, .num_experts = 256, .k = 8, .gamma = 4};
  auto spread = [](const auto& bank) {  // largest of each group, and its mean square by U's r^2 / 3
    std::vector<double> largest;
    for_each_leaf(
        [&](const auto& leaf) {
          largest.push_back(static_cast<double>(leaf.array().abs().maxCoeff()));
          const double r = largest.back(), mean = leaf.array().square().mean();
          if (leaf.size() > 300) CHECK_THAT(mean / (r * r / 3), WithinAbs(1, 0.2));
        },
        bank);
    return largest;
  };
  auto within = [](const std::vector<double>& got, std::initializer_list<double> ranges) {
    REQUIRE(got.size() == ranges.size());
    auto at = got.begin();
    for (const double range : ranges) {
      CHECK(*at <= range);
      CHECK(*at++ >= 0.7 * range);
    }
  };
  within(spread(GateBank<Dense<double>, DSelectKHead<double>>(many, 1, rng)), {.05, .05, .04, .04});
  within(spread(GateBank<StaticMap<double>, DSelectKHead<double>>(many, 1, rng)), {.05, .04});
  const TopKOptions top_k{.in_features = 50, .num_experts = 250, .k = 2};
  const double glorot = std::sqrt(6.0 / 300);
  within(spread(GateBank<Dense<double>, TopKHead<double>>(top_k, 1, rng)), {glorot, 0});
  within(spread(GateBank<StaticMap<double>, TopKHead<double>>(top_k, 1, rng)), {.05});
  Rng first(7), second(7);
  CHECK(pack<float>(LinearBank<float>(options, 3, first)) ==
        pack<float>(LinearBank<float>(options, 3, second)));
}

TEST_CASE("gate bank: a static gate's regularizer counts once, a per-example gate's as a mean") {
  DSelectKOptions regularized = options;
  regularized.entropy_weight = 1;
  Rng rng(1);
  StaticBank<double> fixed(regularized, 2, rng);
  LinearBank<double> linear(regularized, 2, rng);
  // With maps of zero every example has the logits of the static gate.
  for (Index t = 0; t < 2; ++t) {
    auto from = fixed.task(t);
    auto to = linear.task(t);
    std::fill(to.weight, to.weight + 6 * 8, 0.0);
    std::copy(from.rows, from.rows + 8, to.rows);
  }
  auto regularization = [&](const auto& bank, Index batch) {
    auto cache = bank.make_cache(batch);
    auto weights = bank.make_output(batch);
    bank.forward(training(batch), Matrix<double>::Ones(6, batch), weights, cache);
    return bank.regularization(training(batch), cache);
  };
  const double expected = regularization(fixed, 1);
  CHECK(expected > 4 * std::log(7.0));
  CHECK(regularization(fixed, 5) == expected);
  CHECK_THAT(regularization(linear, 5), WithinAbs(expected, 1e-13));
}

TEST_CASE("gate bank: says what does not fit") {
  Rng rng(1);
  const DSelectKHead<float> head(options);
  CHECK_THROWS_WITH(StaticBank<float>(options, 0, rng),
                    "gate bank: num_tasks: expected >= 1, got 0");
  CHECK_THROWS_WITH(StaticBank<float>(StaticMap<float>(7, 2), head, 2),
                    "gate bank: rows of the static table: expected 8, got 7");
  CHECK_THROWS_WITH(StaticBank<float>(StaticMap<float>(8, 2), head, 3),
                    "gate bank: columns of the static table (tasks): expected 3, got 2");
  CHECK_THROWS_WITH(
      LinearBank<float>(Dense<float>({.in_features = 6, .out_features = 8}, rng), head, 2),
      "gate bank: out_features of the map (num_tasks * num_logits): expected 16, got 8");
  CHECK_THROWS_WITH(LinearBank<float>({.num_experts = 5, .k = 2}, 1, rng),
                    "gate bank: in_features of per-example gates: expected >= 1, got 0");
  const LinearBank<float> bank(options, 1, rng);
  auto weights = bank.make_output(4);
  auto cache = bank.make_cache(4);
  CHECK_THROWS_AS(bank.forward({}, Matrix<float>::Zero(5, 4), weights, cache), shape_error);
}

TEST_CASE("gate bank: a NaN among the parameters is found by its logit") {
  Rng rng(1);
  LinearBank<float> bank(options, 2, rng);
  bank.map().weight(3, 8 + 4) = std::numeric_limits<float>::quiet_NaN();  // task 1, row 4
  CHECK_THROWS_WITH(weights_of(bank, Matrix<float>::Ones(6, 3)),
                    "DSelect-k gate: logit in row 4, column 1: expected a number, got nan");
}
