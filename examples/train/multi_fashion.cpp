// SPDX-License-Identifier: MIT
#include "multi_fashion.hpp"

#include "run.hpp"

#include <selgate/layer/conv2d.hpp>
#include <selgate/layer/sequential.hpp>
#include <selgate/mixture/list_bank.hpp>

#include <cmath>

namespace selgate::examples {
namespace {

/// The Multi-MNIST experiment of the paper (section 4.2, appendix D.2) on any images of its format:
/// two images overlaid, one task names the one at the top left, one the other. Experts are
/// convolution networks: 5x5x10 ReLU, pool, 5x5x20 ReLU, pool, dense 50 ReLU; towers are 50-50-10.
struct ConvolutionExperts {
  Index side, num_experts;

  template <class Gates>
  auto model(Gates gates, Rng& rng) const {
    const Index half = (side - 4) / 2, quarter = (half - 4) / 2;
    ListBank experts(num_experts, [&] {
      Conv2d<float> first({.in_channels = 1, .height = side, .width = side, .out_channels = 10,
                           .kernel = 5, .activation = Activation::relu, .pool = 2}, rng);
      Conv2d<float> second({.in_channels = 10, .height = half, .width = half, .out_channels = 20,
                            .kernel = 5, .activation = Activation::relu, .pool = 2}, rng);
      Dense<float> dense({.in_features = 20 * quarter * quarter, .out_features = 50,
                          .activation = Activation::relu}, rng);
      return Sequential(std::move(first), std::move(second), std::move(dense));
    });
    auto make_tower = [&] {
      Dense<float> first({.in_features = 50, .out_features = 50, .activation = Activation::relu},
                         rng);
      Dense<float> second({.in_features = 50, .out_features = 50, .activation = Activation::relu},
                          rng);
      Dense<float> last({.in_features = 50, .out_features = 10}, rng);
      return Sequential(std::move(first), std::move(second), std::move(last));
    };
    std::vector towers = {make_tower()};
    towers.push_back(make_tower());
    MultiGateMixture body(std::move(experts), std::move(gates));
    return MultiTask(std::move(body), std::move(towers),
                     std::vector<Loss<float>>(2, SoftmaxCrossEntropy<float>{}), {0.5, 0.5});
  }
};

}  // namespace

std::vector<GateResult> run_multi_fashion(const TaskData& data, const RunOptions& options) {
  const auto side = static_cast<Index>(std::lround(std::sqrt(static_cast<double>(data.features))));
  return run_gates(ConvolutionExperts{side, options.num_experts}, data, options);
}

}  // namespace selgate::examples
