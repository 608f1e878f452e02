// SPDX-License-Identifier: MIT
#include <selgate/mixture/multi_gate.hpp>

#include <selgate/gate/dselect_k_import.hpp>
#include <selgate/gate/gate.hpp>
#include <selgate/mixture/list_bank.hpp>
#include <selgate/testing/mixture_laws.hpp>

#include "catch.hpp"

#include <string>
#include <thread>
#include <vector>

using namespace selgate;
using Catch::Matchers::ContainsSubstring;

namespace {

template <class S>
using Experts = ListBank<Dense<S>>;
template <class S>
using StaticMixture = MultiGateMixture<Experts<S>, GateBank<StaticMap<S>, DSelectKHead<S>>>;

template <class S>
Experts<S> make_experts(Index n, Rng& rng) {
  return Experts<S>(n, [&] {
    return Dense<S>({.in_features = 4, .out_features = 3, .activation = Activation::relu}, rng);
  });
}
template <class S>
StaticMixture<S> make_static(Index n, Index tasks, Rng& rng, Storage storage = Storage::dense,
                             double gamma = 1) {
  return {make_experts<S>(n, rng),
          GateBank<StaticMap<S>, DSelectKHead<S>>(
              {.num_experts = n, .k = 2, .gamma = gamma, .entropy_weight = 0.01}, tasks, rng),
          storage};
}
/// A mixture whose tasks select the given experts with weight 1.
template <class S>
StaticMixture<S> selecting(Index n, const std::vector<Index>& selected, Rng& rng) {
  auto mixture = make_static<S>(n, static_cast<Index>(selected.size()), rng);
  for (std::size_t t = 0; t < selected.size(); ++t) {
    set_weights(mixture.gates, static_cast<Index>(t), Vector<S>(Vector<S>::Unit(n, selected[t])));
  }
  return mixture;
}

}  // namespace

TEST_CASE("static mixture: laws") {
  const double gamma = GENERATE(4.0, 0.02);
  const LawReport report = check_mixture(
      [&](auto scalar, Rng& rng, Storage storage) {
        return make_static<decltype(scalar)>(8, 2, rng, storage, gamma);
      },
      {.layer = {.batch = 5, .max_coordinates = 100}, .min_inactive = gamma < 1 ? 2 : 0});
  INFO("gamma = " << gamma << "\n" << report.failures());
  CHECK(report.ok());
}

TEMPLATE_TEST_CASE("static mixture: on one expert it is that expert", "", float, double) {
  using S = TestType;
  Rng rng(1);
  const auto mixture = selecting<S>(6, {4}, rng);
  const Matrix<S> x = uniform<S>(4, 9, rng);
  auto cache = mixture.make_cache(9);
  Matrix<S> y(3, 9), expected(3, 9);
  mixture.forward({}, x, y, cache);
  auto expert_cache = mixture.experts.expert(4).make_cache(9);
  mixture.experts.expert(4).forward({}, x, expected, expert_cache);
  CHECK((y - expected).cwiseAbs().maxCoeff() <= 4 * std::numeric_limits<S>::epsilon());
}

TEST_CASE("static mixture: an expert that nobody selects keeps out of everything") {
  Rng rng(2);
  auto mixture = selecting<double>(6, {1, 3}, rng);
  const Matrix<double> x = uniform<double>(4, 9, rng), dy = uniform<double>(6, 9, rng);
  auto cache = mixture.make_cache(9);
  auto gradient = mixture.make_gradient();
  Matrix<double> y(6, 9);
  mixture.forward(training(9), x, y, cache);
  mixture.backward(training(9), x, y, dy, not_wanted<double>(), gradient, cache);
  for (Index e = 0; e < 6; ++e) {
    const bool selected = e == 1 || e == 3;
    CHECK(gradient.experts.touched.contains(e) == selected);
    CHECK(gradient.experts.expert(e).weight.isZero(0) == !selected);
  }
  // Two of six experts ran, each once although there are two tasks.
  const Flops one = mixture.experts.expert(1).flops(9, {});
  const Flops gates = mixture.gates.flops(9, cache.gate), all = mixture.flops(9, cache);
  CHECK(all.forward == gates.forward + 2 * one.forward + 2 * (2 * 3 * 9));
  CHECK(all.backward == gates.backward + 2 * one.backward + 2 * (4 * 3 * 9));
}

TEMPLATE_TEST_CASE("static mixture: one const model serves many threads", "", float, double) {
  using S = TestType;
  Rng rng(3);
  const auto mixture = make_static<S>(8, 2, rng);
  const Matrix<S> x = uniform<S>(4, 5, rng);
  auto forward = [&] {
    auto cache = mixture.make_cache(5);
    Matrix<S> y(6, 5);
    for (int i = 0; i < 100; ++i) mixture.forward({}, x, y, cache);
    return y;
  };
  const Matrix<S> expected = forward();
  std::vector<Matrix<S>> results(8);
  std::vector<std::thread> threads;
  for (auto& result : results) threads.emplace_back([&] { result = forward(); });
  for (auto& thread : threads) thread.join();
  for (const auto& result : results) CHECK(result == expected);
}

TEST_CASE("mixture: representations may lie a matrix a task") {
  Rng rng(6);
  const Index tasks = 3, units = 3, batch = 9;
  const auto mixture = make_static<double>(8, tasks, rng);
  const Matrix<double> x = uniform<double>(4, batch, rng),
                       dy = uniform<double>(tasks * units, batch, rng);
  auto cache = mixture.make_cache(batch);
  auto gradient = mixture.make_gradient(), expected_gradient = gradient;
  Matrix<double> expected(tasks * units, batch), dx = Matrix<double>::Zero(4, batch),
                                                 expected_dx = dx;
  mixture.forward({}, x, expected, cache);
  mixture.backward({}, x, expected, dy, expected_dx, expected_gradient, cache);

  Matrix<double> y(units, tasks * batch), dy_of_tasks(units, tasks * batch);
  for (Index t = 0; t < tasks; ++t) {
    dy_of_tasks.middleCols(t * batch, batch) = dy.middleRows(mixture.task_row(t), units);
  }
  const TaskVectors<double> vectors{y.data(), tasks, batch, units * batch, units};
  mixture.forward({}, x, vectors, cache);
  mixture.backward({}, x, {dy_of_tasks.data(), tasks, batch, units * batch, units}, dx, gradient,
                   cache);
  for (Index t = 0; t < tasks; ++t) {
    CHECK(y.middleCols(t * batch, batch) == expected.middleRows(mixture.task_row(t), units));
  }
  CHECK(dx == expected_dx);
  CHECK(pack<double>(gradient) == pack<double>(expected_gradient));
  TaskVectors<double> wrong = vectors;
  wrong.num_tasks = 2;
  CHECK_THROWS_WITH(mixture.forward({}, x, wrong, cache), "mixture: tasks of y: expected 3, got 2");
  wrong = vectors;
  wrong.batch = 8;
  CHECK_THROWS_WITH(mixture.forward({}, x, wrong, cache),
                    "mixture: examples of y: expected 9, got 8");
}

TEST_CASE("mixture: names as in files") {
  Rng rng(4);
  std::string text;
  const auto mixture = make_static<float>(2, 2, rng);
  for_each_named_leaf([&](const std::string& path, const auto&) { text += path + " "; }, mixture);
  CHECK(text ==
        "experts.0.weight experts.0.bias experts.1.weight experts.1.bias "
        "gates.0.alpha gates.0.Z gates.1.alpha gates.1.Z ");
}

TEST_CASE("mixture: says what does not fit") {
  Rng rng(5);
  using Static = GateBank<StaticMap<float>, DSelectKHead<float>>;
  using Linear = GateBank<Dense<float>, DSelectKHead<float>>;
  CHECK_THROWS_WITH((MultiGateMixture<Experts<float>, Static>(
                        make_experts<float>(3, rng), Static({.num_experts = 4}, 1, rng))),
                    "mixture: experts of the gates: expected 3, got 4");
  CHECK_THROWS_WITH(
      (MultiGateMixture<Experts<float>, Linear>(
          make_experts<float>(3, rng), Linear({.in_features = 5, .num_experts = 3}, 1, rng))),
      "mixture: in_features of the gates: expected 4, got 5");

  const auto mixture = make_static<float>(3, 2, rng);
  auto cache = mixture.make_cache(4);
  auto gradient = mixture.make_gradient();
  const Matrix<float> x = Matrix<float>::Zero(4, 4), y = Matrix<float>::Zero(6, 4);
  auto backward = [&] { mixture.backward({}, x, y, y, not_wanted<float>(), gradient, cache); };
  CHECK_THROWS_AS(backward(), state_error);
  CHECK_THROWS_WITH(backward(), "mixture: backward: expected a forward before it, got none");
  Matrix<float> less(6, 3);
  mixture.forward({}, x.leftCols(3), less, cache);
  CHECK_THROWS_WITH(backward(), ContainsSubstring("columns of backward"));
  Matrix<float> more(6, 5);
  CHECK_THROWS_AS(mixture.forward({}, x, more, cache), shape_error);
}
