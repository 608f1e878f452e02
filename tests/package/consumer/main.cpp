// SPDX-License-Identifier: MIT
#include <selgate/selgate.hpp>

double half();  // second.cpp

int main() {
  selgate::Rng rng(7);
  const selgate::DSelectKGate<float> gate({.in_features = 3, .num_experts = 6, .k = 2}, rng);
  auto cache = gate.make_cache(5);
  auto weights = gate.make_output(5);
  auto gradient = gate.make_gradient();
  const auto context = selgate::training(5);
  const auto x = selgate::uniform<float>(3, 5, rng);
  gate.forward(context, x, weights, cache);
  gate.backward(context, x, weights, weights, selgate::not_wanted<float>(), gradient, cache);
  return weights.dense().allFinite() && half() == 0.5 ? 0 : 1;
}
