// SPDX-License-Identifier: MIT
#include <selgate/mixture/multi_gate.hpp>

#include <selgate/gate/gate.hpp>
#include <selgate/mixture/dense_bank.hpp>
#include <selgate/testing/mixture_laws.hpp>

#include "catch.hpp"

#include <algorithm>
#include <string>

using namespace selgate;

namespace {

template <class S>
using Mixture = MultiGateMixture<DenseBank<S>, GateBank<Dense<S>, DSelectKHead<S>>>;

template <class S>
Mixture<S> make_mixture(Index n, Index tasks, double gamma, Rng& rng, Storage storage) {
  return {DenseBank<S>({.in_features = 4, .out_features = 3, .num_experts = n}, rng),
          GateBank<Dense<S>, DSelectKHead<S>>({.in_features = 4,
                                               .num_experts = n,
                                               .k = std::min<Index>(2, n),
                                               .gamma = gamma,
                                               .entropy_weight = 0.01,
                                               .spare_codes = SpareCodes::fold},
                                              tasks, rng),
          storage};
}
LawReport check(Index n, Index tasks, double gamma, const MixtureLawOptions& options) {
  return check_mixture(
      [&](auto scalar, Rng& rng, Storage storage) {
        return make_mixture<decltype(scalar)>(n, tasks, gamma, rng, storage);
      },
      options);
}

}  // namespace

TEST_CASE("mixture: laws with per-example DSelect-k gates") {
  const Index n = GENERATE(1, 4, 6), tasks = GENERATE(1, 3);
  // From bits that are all fractional to nearly all binary.
  const double gamma = GENERATE(4.0, 0.5, 0.05);
  const LawReport report = check(n, tasks, gamma,
                                 {.layer = {.batch = 6,
                                            .parameter_noise = 0.3,
                                            .difference_tolerance = gamma < 0.1 ? 1e-7 : 1e-8,
                                            .float_tolerance = std::max(1e-5, 1e-6 / gamma),
                                            .max_coordinates = 100}});
  INFO("n = " << n << ", tasks = " << tasks << ", gamma = " << gamma << "\n" << report.failures());
  CHECK(report.ok());
}

TEST_CASE("mixture: laws of a batch that is cut into blocks") {
  const LawReport report =
      check(5, 2, 0.5, {.layer = {.batch = 130, .parameter_noise = 0.3, .max_coordinates = 20}});
  INFO(report.failures());
  CHECK(report.ok());
}

TEST_CASE("mixture: laws where experts are skipped") {
  const LawReport report = check(16, 1, 0.05,
                                 {.layer = {.batch = 2,
                                            .parameter_noise = 0.3,
                                            .float_tolerance = 2e-5,
                                            .max_coordinates = 50},
                                  .min_inactive = 8});
  INFO(report.failures());
  CHECK(report.ok());
}

TEST_CASE("mixture: a cache or gradient of another") {
  Rng rng(1);
  auto make = [&](Index n, Index tasks) {
    return make_mixture<double>(n, tasks, 1, rng, Storage::dense);
  };
  const auto mixture = make(4, 2), more_tasks = make(4, 3), more_experts = make(5, 2);
  const auto x = uniform<double>(4, 3, rng), dy = uniform<double>(6, 3, rng);
  Matrix<double> y(6, 3), wide(9, 3);
  auto cache = mixture.make_cache(3), tasks_cache = more_tasks.make_cache(3),
       experts_cache = more_experts.make_cache(3);
  auto gradient = mixture.make_gradient(), others = more_experts.make_gradient();
  auto backward = [&](auto& into, auto& of) {
    mixture.backward({}, x, y, dy, not_wanted<double>(), into, of);
  };
  CHECK_THROWS_AS(mixture.forward({}, x, y, experts_cache), state_error);
  CHECK_THROWS_AS(mixture.forward({}, x, y, tasks_cache), state_error);
  mixture.forward({}, x, y, cache);
  CHECK_THROWS_AS(backward(others, cache), shape_error);
  more_experts.forward({}, x, y, experts_cache);
  CHECK_THROWS_WITH(backward(gradient, experts_cache),
                    "mixture: experts of the cache: expected 4, got 5");
  more_tasks.forward({}, x, wide, tasks_cache);
  CHECK_THROWS_WITH(backward(gradient, tasks_cache),
                    "mixture: columns of the cache: expected 6, got 9");
}

TEST_CASE("mixture: the cache of one whose experts have other sizes") {
  Rng rng(2);
  auto make = [&](Index in_features, Index units) {
    using Gates = GateBank<StaticMap<double>, SoftmaxHead<double>>;
    return MultiGateMixture<DenseBank<double>, Gates>(
        DenseBank<double>({.in_features = in_features,
                           .out_features = 1,
                           .num_experts = 3,
                           .units_per_output = units},
                          rng),
        Gates({.num_experts = 3}, 1, rng));
  };
  const auto mixture = make(4, 2);
  auto refusal = [&](Index in_features, Index units) {
    const auto other = make(in_features, units);
    auto cache = other.make_cache(5);
    auto gradient = mixture.make_gradient();
    Matrix<double> y(1, 5);
    other.forward({}, uniform<double>(in_features, 5, rng), y, cache);
    const auto x = uniform<double>(4, 5, rng);
    try {
      mixture.backward({}, x, y, y, not_wanted<double>(), gradient, cache);
    } catch (const state_error& error) {
      return std::string(error.what());
    }
    return std::string();
  };
  CHECK(refusal(40, 2) == "dense bank: in_features of the cache: expected 4, got 40");
  CHECK(refusal(4, 3) == "dense bank: units of an expert of the cache: expected 2, got 3");
  CHECK(refusal(4, 2).empty());
}
