// SPDX-License-Identifier: MIT
// A DSelect-k gate alone: weights over 6 experts for 5 examples, a gradient, and who is used.

#include <selgate/selgate.hpp>

#include <cmath>
#include <iostream>

int main() {
  selgate::Rng rng(7);
  const selgate::DSelectKGate<float> gate({.in_features = 3, .num_experts = 6, .k = 2, .gamma = 1},
                                          rng);
  const auto x = selgate::uniform<float>(3, 5, rng);  // features x examples: an example is a column

  auto cache = gate.make_cache(5);      // what a pass remembers belongs to the caller
  auto weights = gate.make_output(5);   // 6 x 5
  gate.forward(selgate::training(5), x, weights, cache);
  std::cout << weights.dense() << "\n\n" << describe(report(weights)) << '\n';

  auto gradient = gate.make_gradient();  // backward adds the gradient of sum(dweights .* weights)
  const auto& dweights = weights;        // here: of |weights|^2 / 2
  gate.backward(selgate::training(5), x, weights, dweights, selgate::not_wanted<float>(), gradient,
                cache);
  selgate::for_each_named_leaf(
      [](const std::string& name, const auto& leaf) {
        double square = 0;
        for (selgate::Index i = 0; i < leaf.size(); ++i) square += leaf.data[i] * leaf.data[i];
        std::cout << "|d " << name << "| = " << std::sqrt(square) << '\n';
      },
      gradient);
}
