// SPDX-License-Identifier: MIT
// The floor of the steps in movielens.cpp: their matrix products alone, by whatever serves them
// there (math/product.hpp), with as many experts as the step runs.

#include "case.hpp"

#include <selgate/core/random.hpp>
#include <selgate/math/product.hpp>

namespace selgate::benchmarks::movielens_gemm {
namespace {

/// The three products of a linear layer in training, y = W'x, dW = x dy' and dx = W dy.
class LinearProducts {
 public:
  LinearProducts(Index in, Index out, Index batch, bool input_gradient, Rng& rng)
      : input_gradient_(input_gradient),
        w_(uniform<float>(in, out, rng)),
        x_(uniform<float>(in, batch, rng)),
        dy_(uniform<float>(out, batch, rng)),
        y_(out, batch),
        dx_(Matrix<float>::Zero(in, batch)),
        dw_(Matrix<float>::Zero(in, out)) {}

  void forward() { forward_product<float>(w_, Matrix<float>(), x_, y_); }
  void backward() {
    weight_gradient_product<float>(x_, dy_, dw_);
    if (input_gradient_) input_gradient_product<float>(w_, dy_, dx_);
  }
  [[nodiscard]] std::int64_t flops() const {
    return (input_gradient_ ? 3 : 2) * 2 * w_.size() * x_.cols();
  }

 private:
  bool input_gradient_;
  Matrix<float> w_, x_, dy_, y_, dx_, dw_;
};

/// Experts and the gates' logits, which see the data itself, then a hidden and a last layer a task.
class StepProducts {
 public:
  explicit StepProducts(Index num_experts) {
    const Index batch = 128, tasks = 2;
    Rng rng(1);
    products_.emplace_back(128, 256 * num_experts, batch, false, rng);
    products_.emplace_back(128, 8 * tasks, batch, false, rng);
    for (Index t = 0; t < tasks; ++t) {
      products_.emplace_back(256, 256, batch, true, rng);
      products_.emplace_back(256, 1, batch, true, rng);
    }
  }
  void operator()() {
    for (LinearProducts& product : products_) product.forward();
    for (LinearProducts& product : products_) product.backward();
  }
  [[nodiscard]] std::int64_t flops() const {
    std::int64_t sum = 0;
    for (const LinearProducts& product : products_) sum += product.flops();
    return sum;
  }

 private:
  std::vector<LinearProducts> products_;
};

}  // namespace

void add_cases() {
  for (const Index experts : {8, 4, 2}) {
    add_case(CaseName("movielens_gemm").with("B", 128).with("experts", experts),
             [=] { return StepProducts(experts); });
  }
}

}  // namespace selgate::benchmarks::movielens_gemm
