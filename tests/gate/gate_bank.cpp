// SPDX-License-Identifier: MIT
#include <selgate/gate/gate_bank.hpp>

#include <selgate/testing/gate_laws.hpp>

#include "any_head.hpp"
#include "catch.hpp"
#include "dselect_k_banks.hpp"

#include <limits>
#include <string>

using namespace selgate;
using Catch::Matchers::WithinAbs;
using selgate::test::AnyHead;
using selgate::test::bank_options;
using selgate::test::every_head;
using selgate::test::LinearBank;
using selgate::test::NamedHead;
using selgate::test::StaticBank;

namespace {

template <class Bank>
auto bank_weights(const Bank& bank, const Matrix<typename Bank::Scalar>& x) {
  auto weights = bank.make_output(x.cols());
  auto cache = bank.make_cache(x.cols());
  bank.forward(Context{}, x, weights, cache);
  return weights.to_dense();
}

}  // namespace

TEST_CASE("gate bank: laws of DSelect-k gates on a linear map") {
  // 3 gates have 24 logits, and 9 have 72: more than the kernel for few outputs takes at once.
  const Index tasks = GENERATE(1, 3, 9);
  const bool bias = GENERATE(true, false);
  const LawReport report = check_gate(
      [&](auto scalar, Rng& rng) {
        DSelectKOptions changed = bank_options;
        changed.entropy_weight = 0.1;
        changed.penalty_weight = 0.01;
        changed.bias = bias;
        return LinearBank<decltype(scalar)>(changed, tasks, rng);
      },
      {.layer = {
           .batch = 9, .parameter_noise = 0.3, .bit_equal_batches = true, .max_coordinates = 100}});
  INFO(report.failures());
  CHECK(report.ok());
}

TEST_CASE("gate bank: laws of every head on a linear map") {
  const bool bias = GENERATE(true, false);
  constexpr Index tasks = 2;
  for (const NamedHead& row : every_head) {
    const LawReport report = check_gate(
        [&](auto scalar, Rng& rng) {
          using S = decltype(scalar);
          AnyHead<S> head(row.options);
          Dense<S> map({.in_features = 4,
                        .out_features = tasks * head.num_logits(),
                        .bias = bias,
                        .order = SumOrder::fixed},
                       rng);
          return GateBank<Dense<S>, AnyHead<S>>(std::move(map), std::move(head), tasks);
        },
        {.layer = {.parameter_noise = 0.3, .bit_equal_batches = true},
         .max_support = row.max_support});
    INFO(row.name << ", bias " << bias << "\n" << report.failures());
    CHECK(report.ok());
  }
}

TEMPLATE_TEST_CASE("gate bank: a gate has the same bits alone and in a bank", "", float, double) {
  using S = TestType;
  Rng rng(1);
  const LinearBank<S> bank(bank_options, 9, rng);
  const Matrix<S> x = uniform<S>(6, 7, rng, -9, 9);
  const Matrix<S> all = bank_weights(bank, x);
  for (Index t = 0; t < 9; ++t) {
    LinearBank<S> alone(bank_options, 1, rng);
    auto gate = alone.task(0);
    const auto source = bank.task(t);
    for_each_leaf([](const auto& to, const auto& from) { to.array() = from.array(); }, gate,
                  source);
    const Matrix<S> one = bank_weights(alone, x);
    for (Index b = 0; b < 7; ++b) CHECK(one.col(b) == all.col(b * 9 + t));
  }
}

TEST_CASE("gate bank: a static gate's regularizer counts once, a per-example gate's as a mean") {
  DSelectKOptions regularized = bank_options;
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
  const DSelectKHead<float> head(bank_options);
  CHECK_THROWS_WITH(StaticBank<float>(bank_options, 0, rng),
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
  constexpr Index many = Index{1} << 61;  // nothing is allocated before this is seen
  DSelectKOptions many_features = bank_options;
  many_features.in_features = many;
  CHECK_THROWS_AS(StaticBank<float>(bank_options, many, rng), config_error);
  CHECK_THROWS_AS(LinearBank<float>(many_features, 1, rng), config_error);
  const LinearBank<float> bank(bank_options, 1, rng);
  auto weights = bank.make_output(4);
  auto cache = bank.make_cache(4);
  CHECK_THROWS_AS(bank.forward({}, Matrix<float>::Zero(5, 4), weights, cache), shape_error);
}

TEST_CASE("gate bank: a NaN among the parameters is found by its logit") {
  Rng rng(1);
  LinearBank<float> bank(bank_options, 2, rng);
  bank.map().weight(3, 8 + 4) = std::numeric_limits<float>::quiet_NaN();  // task 1, row 4
  CHECK_THROWS_WITH(bank_weights(bank, Matrix<float>::Ones(6, 3)),
                    "DSelect-k gate: logit in row 4, column 1: expected a number, got nan");
}

TEST_CASE("gate bank: a batch, cache, gradient or number of tasks that does not fit") {
  Rng rng(4);
  const LinearBank<double> bank({.in_features = 3, .num_experts = 4, .k = 2}, 2, rng);
  auto cache = bank.make_cache(2);
  auto weights = bank.make_output(2);
  auto gradient = bank.make_gradient();
  const auto x = uniform<double>(3, 2, rng), many = uniform<double>(3, 1000, rng);
  auto backward = [&](const auto& on, const Matrix<double>& at, auto& into, auto& of) {
    on.backward(training(2), at, weights, weights, not_wanted<double>(), into, of);
  };
  CHECK_THROWS_AS(backward(bank, x, gradient, cache), state_error);
  bank.forward(training(2), x, weights, cache);
  CHECK_THROWS_AS(backward(bank, many, gradient, cache), shape_error);
  CHECK_THROWS_WITH(
      backward(bank, many, gradient, cache),
      "gate bank: columns: expected at most 2, for which the cache was made, got 1000");

  const LinearBank<double> other({.in_features = 5, .num_experts = 4, .k = 1}, 2, rng);
  auto others_cache = other.make_cache(2);
  auto others_gradient = other.make_gradient();
  CHECK_THROWS_AS(bank.forward({}, x, weights, others_cache), state_error);
  CHECK_THROWS_WITH(bank.forward({}, x, weights, others_cache),
                    "gate bank: logits of all tasks of the cache: expected 12, got 6");
  CHECK_THROWS_AS(backward(bank, x, gradient, others_cache), state_error);
  CHECK_THROWS_AS(backward(bank, x, others_gradient, cache), shape_error);

  const StaticBank<double> alone({.num_experts = 4, .k = 2}, 2, rng);
  const StaticBank<double> of_three({.num_experts = 4, .k = 2}, 3, rng);
  auto static_cache = alone.make_cache(2);
  auto static_gradient = of_three.make_gradient();
  alone.forward({}, x, weights, static_cache);
  CHECK_THROWS_WITH(backward(alone, x, static_gradient, static_cache),
                    "DSelect-k gate: columns of dlogits: expected 2, got 3");

  using Map = StaticMap<double>;
  const DSelectKHead<double> head({.num_experts = 4, .k = 2});
  CHECK_THROWS_WITH((GateBank<Map, DSelectKHead<double>>(Map(6, 0), head, 0)),
                    "gate bank: num_tasks: expected >= 1, got 0");
  CHECK_THROWS_AS(bank.make_cache((std::numeric_limits<Index>::max)()), config_error);
  CHECK_THROWS_AS(bank.make_output((std::numeric_limits<Index>::max)()), config_error);
}

TEST_CASE("gate bank: a NaN among the features is found by its example") {
  Rng rng(1);
  const LinearBank<float> bank(bank_options, 2, rng);
  Matrix<float> x = Matrix<float>::Ones(6, 3);
  x(4, 1) = std::numeric_limits<float>::quiet_NaN();  // the first logits of example 1 of two tasks
  CHECK_THROWS_WITH(bank_weights(bank, x),
                    "DSelect-k gate: logit in row 0, column 2: expected a finite "
                    "number or -inf, got nan");
}
