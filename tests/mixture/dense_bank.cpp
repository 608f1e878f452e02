// SPDX-License-Identifier: MIT
#include <selgate/mixture/dense_bank.hpp>

#include <selgate/testing/mixture_laws.hpp>

#include "catch.hpp"

#include <string>

using namespace selgate;

TEST_CASE("dense bank: laws") {
  const Index n = GENERATE(1, 2, 5);
  const bool bias = GENERATE(false, true);
  const Activation activation = GENERATE(Activation::identity, Activation::relu);
  const LawReport report = check_bank(
      [&](auto scalar, Rng& rng) {
        return DenseBank<decltype(scalar)>(
            {.in_features = 4, .out_features = 3, .num_experts = n, .bias = bias, .activation = activation},
            rng);
      },
      {.layer = {.batch = 7}});
  INFO(report.failures());
  CHECK(report.ok());
}
