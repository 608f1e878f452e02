// SPDX-License-Identifier: MIT
#include <selgate/gate/gate_bank.hpp>

#include "catch.hpp"
#include "dselect_k_banks.hpp"

#include <cmath>
#include <initializer_list>
#include <string>
#include <vector>

using namespace selgate;
using Catch::Matchers::WithinAbs;
using selgate::test::bank_options;
using selgate::test::LinearBank;
using selgate::test::StaticBank;

namespace {

std::string names_and_shapes(const auto& module) {
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

TEST_CASE("gate bank: parameters have the names and shapes of files") {
  Rng rng(1);
  const std::string zero = "0.G 2 6\n0.G_bias 2\n0.W 2 3 6\n0.W_bias 2 3\n";
  CHECK(names_and_shapes(LinearBank<float>(bank_options, 1, rng)) == zero);
  CHECK(names_and_shapes(LinearBank<float>(bank_options, 2, rng)) ==
        zero + "1.G 2 6\n1.G_bias 2\n1.W 2 3 6\n1.W_bias 2 3\n");
  CHECK(names_and_shapes(StaticBank<float>(bank_options, 2, rng)) ==
        "0.alpha 2\n0.Z 2 3\n1.alpha 2\n1.Z 2 3\n");
  DSelectKOptions no_bias = bank_options;
  no_bias.bias = false;
  CHECK(names_and_shapes(LinearBank<float>(no_bias, 1, rng)) == "0.G 2 6\n0.W 2 3 6\n");
  using SoftmaxBank = GateBank<Dense<float>, SoftmaxHead<float>>;
  CHECK(names_and_shapes(SoftmaxBank({.in_features = 6, .num_experts = 5}, 1, rng)) ==
        "0.A 5 6\n0.b 5\n");
  CHECK(names_and_shapes(LinearBank<float>(bank_options, 2, rng).make_gradient()) ==
        names_and_shapes(LinearBank<float>(bank_options, 2, rng)));
}

TEST_CASE("gate bank: initial laws") {
  Rng rng(1);
  const DSelectKOptions many{.in_features = 50, .num_experts = 256, .k = 8, .gamma = 4};
  auto spread = [](const auto& bank) {  // largest of each group, and its mean square by U's r^2 / 3
    std::vector<double> largest;
    for_each_named_leaf(
        [&](const std::string&, const auto& leaf) {
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
  CHECK(pack<float>(LinearBank<float>(bank_options, 3, first)) ==
        pack<float>(LinearBank<float>(bank_options, 3, second)));
}
