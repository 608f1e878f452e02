// SPDX-License-Identifier: MIT
#include <selgate/gate/gate.hpp>

#include <selgate/layer/sequential.hpp>
#include <selgate/optim/sgd.hpp>
#include <selgate/testing/gate_laws.hpp>

#include "any_head.hpp"
#include "catch.hpp"
#include "head_pass.hpp"

#include <algorithm>
#include <limits>
#include <string>

#if defined(__SSE2__)
#include <immintrin.h>
#endif

using namespace selgate;
using selgate::test::AnyHead;
using selgate::test::every_head;
using selgate::test::NamedHead;

namespace {

std::string names(const auto& module) {
  std::string text;
  for_each_named_leaf([&](const std::string& path, const auto&) { text += path + " "; }, module);
  return text;
}

}  // namespace

// On a static map they are in check_head, which every head's own test calls.
TEST_CASE("gate: laws of every head on a small network") {
  for (const NamedHead& row : every_head) {
    const LawReport report = check_gate(
        [&](auto scalar, Rng& rng) {
          using S = decltype(scalar);
          using Map = Sequential<Dense<S>, Dense<S>>;
          AnyHead<S> head(row.options);
          Map map(
              Dense<S>({.in_features = 4, .out_features = 7, .activation = Activation::relu}, rng),
              Dense<S>({.in_features = 7, .out_features = head.num_logits()}, rng));
          return Gate<Map, AnyHead<S>>(std::move(map), std::move(head));
        },
        {.layer = {.batch = 6, .parameter_noise = 0.3, .bit_equal_batches = true},
         .max_support = row.max_support});
    INFO(row.name << "\n" << report.failures());
    CHECK(report.ok());
  }
}

TEMPLATE_TEST_CASE("gate: names are those of a bank's task", "", float, double) {
  using S = TestType;
  Rng rng(1);
  CHECK(names(SoftmaxGate<S>({.in_features = 2, .num_experts = 3}, rng)) == "A b ");
  CHECK(names(StaticSoftmaxGate<S>({.num_experts = 3}, rng)) == "b ");
  CHECK(names(TopKGate<S>({.in_features = 2, .num_experts = 3}, rng)) == "A b ");
  CHECK(names(StaticTopKGate<S>({.num_experts = 3}, rng)) == "b ");
  const DSelectKGate<S> gate({.in_features = 2, .num_experts = 3}, rng);
  CHECK(names(gate) == "G G_bias W W_bias ");
  CHECK(names(gate.make_gradient()) == names(gate));
  CHECK(names(DSelectKGate<S>({.in_features = 2, .num_experts = 3, .bias = false}, rng)) == "G W ");
  CHECK(names(StaticDSelectKGate<S>({.num_experts = 3}, rng)) == "alpha Z ");
  CHECK(names(SoftmaxSelectorGate<S>({.in_features = 2, .num_experts = 3}, rng)) ==
        "G G_bias B B_bias ");
  CHECK(names(StaticSoftmaxSelectorGate<S>({.num_experts = 3}, rng)) == "alpha beta ");
  using Map = Sequential<Dense<S>>;
  CHECK(names(Gate<Map, SoftmaxHead<S>>(Map(Dense<S>({.in_features = 2, .out_features = 3}, rng)),
                                        SoftmaxHead<S>({.num_experts = 3}))) ==
        "map.0.weight map.0.bias ");
}

namespace {

/// The weights that a row of every_head gives to logits, as doubles.
template <class S>
Matrix<double> weights_in(const NamedHead& row, const Matrix<double>& logits) {
  return weights_of(AnyHead<S>(row.options), logits.template cast<S>()).template cast<double>();
}

}  // namespace

TEST_CASE("every head: denormal logits, with and without flushing them to 0") {
  constexpr double tiny = std::numeric_limits<double>::denorm_min();
  for (const NamedHead& row : every_head) {
    INFO(row.name);
    Matrix<double> z(AnyHead<double>(row.options).num_logits(), 1);
    for (Index r = 0; r < z.rows(); ++r) z(r, 0) = -0.05 * static_cast<double>(r);
    // In falling order: flushed, all of them are equal, and the first of equals is selected.
    z.topRows(3) = column<double>({3 * tiny, tiny, -tiny});
    const Matrix<double> expected = weights_in<double>(row, z);
    const Matrix<double> zeros = (z.array().abs() < 1e-300).select(0, z);
    CHECK((expected - weights_in<double>(row, zeros)).cwiseAbs().maxCoeff() <= 1e-300);
#if defined(__SSE2__)
    const unsigned before = _mm_getcsr();
    _mm_setcsr(before | 0x8040);  // flush to zero, denormals are zero
    const Matrix<double> flushed = weights_in<double>(row, z);
    _mm_setcsr(before);
    CHECK(flushed == expected);
#endif
  }
}

TEMPLATE_TEST_CASE("every head: the largest logits there are", "", float, double) {
  using S = TestType;
  const double huge = static_cast<double>((std::numeric_limits<S>::max)());
  for (const NamedHead& row : every_head) {
    INFO(row.name);
    Matrix<double> z(AnyHead<S>(row.options).num_logits(), 1);
    z.setConstant(-huge);
    z(0, 0) = huge;
    const Matrix<double> w = weights_in<S>(row, z);
    CHECK(std::abs(w.sum() - 1) <= 8 * static_cast<double>(std::numeric_limits<S>::epsilon()));
    CHECK(w.maxCoeff() == w(0, 0));
  }
}

TEST_CASE("every head: float and double select the same experts") {
  // Unless two logits, or a bit and its edge at 1/2, are nearer to each other than this.
  constexpr double gap = 1e-5;
  constexpr Index examples = 200;
  Rng rng(1);
  for (const NamedHead& row : every_head) {
    INFO(row.name);
    const Matrix<double> z =
        uniform<double>(AnyHead<double>(row.options).num_logits(), examples, rng, -0.7, 0.7);
    const Matrix<double> in_double = weights_in<double>(row, z),
                         in_float = weights_in<float>(row, z);
    Index near = 0;
    for (Index c = 0; c < examples; ++c) {
      Vector<double> places(z.rows() + 1);
      places << z.col(c).cwiseAbs(), 0.5;
      std::sort(places.begin(), places.end());
      const Index last = z.rows();
      if ((places.tail(last) - places.head(last)).minCoeff() < gap) {
        ++near;
        continue;
      }
      CHECK(((in_float.col(c).array() != 0) == (in_double.col(c).array() != 0)).all());
      CHECK((in_float.col(c) - in_double.col(c)).cwiseAbs().maxCoeff() <= gap);
    }
    CHECK(near < examples / 20);
  }
}

TEST_CASE("static DSelect-k gate: ten thousand more steps leave binary bits as they are") {
  Rng rng(1);
  StaticDSelectKGate<float> gate(
      {.num_experts = 6, .k = 2, .entropy_weight = 0.1, .penalty_weight = 0.1}, rng);
  gate.map().table.bottomRows(6) = column<float>({0.5f, -0.5f, -0.75f, 1, 0.5f, -2});
  const Matrix<float> before = gate.map().table;
  Sgd<StaticDSelectKGate<float>> optimizer({.learning_rate = 0.1, .momentum = 0.9}, gate);
  auto weights = gate.make_output(1), dweights = weights;
  auto cache = gate.make_cache(1);
  auto gradient = gate.make_gradient();
  const Matrix<float> x(0, 1);
  for (int step = 0; step < 10000; ++step) {
    gate.forward(training(1), x, weights, cache);
    dweights.zero_like(weights);
    dweights.dense() = weights.dense();  // descent of |w|^2 / 2
    set_zero(gradient);
    gate.backward(training(1), x, weights, dweights, not_wanted<float>(), gradient, cache);
    optimizer.step(gate, gradient);
  }
  CHECK(gate.map().table.bottomRows(6) == before.bottomRows(6));
  CHECK(gate.map().table.topRows(2) != before.topRows(2));
}
