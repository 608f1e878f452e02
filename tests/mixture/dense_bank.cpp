// SPDX-License-Identifier: MIT
#include <selgate/mixture/dense_bank.hpp>

#include <selgate/layer/dense.hpp>
#include <selgate/testing/mixture_laws.hpp>

#include "catch.hpp"

#include <string>

using namespace selgate;

namespace {

LawReport check(const DenseBankOptions& options, const LayerLawOptions& laws) {
  return check_bank(
      [&](auto scalar, Rng& rng) { return DenseBank<decltype(scalar)>(options, rng); }, laws);
}

}  // namespace

TEST_CASE("dense bank: laws") {
  const Index n = GENERATE(1, 2, 5);
  const bool bias = GENERATE(false, true);
  const Activation activation = GENERATE(Activation::identity, Activation::relu);
  const LawReport report = check({.in_features = 4,
                                  .out_features = 3,
                                  .num_experts = n,
                                  .bias = bias,
                                  .activation = activation},
                                 {.batch = 7});
  INFO(report.failures());
  CHECK(report.ok());
}

TEST_CASE("dense bank: laws with experts that fill more than one product") {
  const LawReport report = check({.in_features = 3, .out_features = 90, .num_experts = 6},
                                 {.batch = 4, .max_coordinates = 40});
  INFO(report.failures());
  CHECK(report.ok());
}

TEST_CASE("dense bank: each expert is a Dense") {
  Rng rng(1);
  const DenseBank<double> bank(
      {.in_features = 4, .out_features = 3, .num_experts = 5, .activation = Activation::relu}, rng);
  const double range = std::sqrt(6.0 / 7);
  CHECK((bank.weight.cwiseAbs().maxCoeff() <= range &&
         bank.weight.cwiseAbs().maxCoeff() > 0.9 * range));
  CHECK(bank.bias.isZero(0));
  const Matrix<double> x = uniform<double>(4, 6, rng);
  GateOutput<double> selected(Storage::dense, 5, 6);
  selected.begin(6);
  selected.dense().setOnes();
  Dispatch dispatch(5);
  dispatch.build(selected, 1, 6, false);
  ExpertBlocks<double> outputs;
  outputs.layout(dispatch, 3);
  auto cache = bank.make_cache(6);
  bank.forward({}, dispatch, x, outputs, cache);
  for (Index e = 0; e < 5; ++e) {
    Dense<double> expert({.in_features = 4, .out_features = 3, .activation = Activation::relu},
                         rng);
    unpack(pack<double>(bank.expert(e)), expert);
    Matrix<double> y(3, 6);
    auto expert_cache = expert.make_cache(6);
    expert.forward({}, x, y, expert_cache);
    CHECK((outputs.block(dispatch, e) - y).cwiseAbs().maxCoeff() <= 1e-15);
  }
}

TEST_CASE("dense bank: names and shapes as in files") {
  Rng rng(1);
  std::string text;
  auto write = [&](const std::string& path, const auto& leaf) {
    text += path;
    for (int i = 0; i < leaf.shape.rank; ++i) text += " " + to_text(leaf.shape[i]);
    text += "\n";
  };
  const DenseBank<float> bank({.in_features = 4, .out_features = 3, .num_experts = 2}, rng);
  for_each_named_leaf(write, bank);
  CHECK(text == "0.weight 3 4\n0.bias 3\n1.weight 3 4\n1.bias 3\n");
  text.clear();
  const auto gradient = bank.make_gradient();
  for_each_named_leaf(write, gradient);
  CHECK(text == "0.weight 3 4\n0.bias 3\n1.weight 3 4\n1.bias 3\n");
}

TEST_CASE("dense bank: rejects sizes below 1") {
  Rng rng(1);
  auto make = [&](Index in, Index out, Index n) {
    return DenseBank<float>({.in_features = in, .out_features = out, .num_experts = n}, rng);
  };
  CHECK_THROWS_WITH(make(0, 1, 1), "dense bank: in_features: expected >= 1, got 0");
  CHECK_THROWS_WITH(make(1, 0, 1), "dense bank: out_features: expected >= 1, got 0");
  CHECK_THROWS_WITH(make(1, 1, 0), "dense bank: num_experts: expected >= 1, got 0");
  CHECK_THROWS_AS(make(1, 1, -1), config_error);
}
