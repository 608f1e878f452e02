// SPDX-License-Identifier: MIT
// The floor of the steps in movielens.cpp: their matrix products alone, with as many experts as the
// step runs, by Eigen (or the BLAS that it was given), and by whatever serves them in the library
// (math/product.hpp).

#include "case.hpp"

#include <selgate/core/random.hpp>
#include <selgate/math/product.hpp>

namespace selgate::benchmarks::movielens_gemm {
namespace {

struct EigenProducts {
  static constexpr const char* name = "eigen";
  using In = Matrix<float>;
  static void forward(const In& w, const In& x, In& y) { y.noalias() = w.transpose() * x; }
  static void input_gradient(const In& w, const In& dy, In& dx) { dx.noalias() += w * dy; }
  static void weight_gradient(const In& x, const In& dy, In& dw) {
    dw.noalias() += x * dy.transpose();
  }
};
struct LibraryProducts {
  static constexpr const char* name = "selgate";
  using In = Matrix<float>;
  static void forward(const In& w, const In& x, In& y) { forward_product<float>(w, In(), x, y); }
  static void input_gradient(const In& w, const In& dy, In& dx) {
    input_gradient_product<float>(w, dy, dx);
  }
  static void weight_gradient(const In& x, const In& dy, In& dw) {
    weight_gradient_product<float>(x, dy, dw);
  }
};

/// The three products of a linear layer in training, y = W'x, dW = x dy' and dx = W dy.
template <class Products>
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

  void forward() { Products::forward(w_, x_, y_); }
  void backward() {
    Products::weight_gradient(x_, dy_, dw_);
    if (input_gradient_) Products::input_gradient(w_, dy_, dx_);
  }
  [[nodiscard]] std::int64_t flops() const {
    return (input_gradient_ ? 3 : 2) * 2 * w_.size() * x_.cols();
  }

 private:
  bool input_gradient_;
  Matrix<float> w_, x_, dy_, y_, dx_, dw_;
};

/// Experts and the gates' logits, which see the data itself, then a hidden and a last layer a task.
template <class Products>
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
    for (auto& product : products_) product.forward();
    for (auto& product : products_) product.backward();
  }
  [[nodiscard]] std::int64_t flops() const {
    std::int64_t sum = 0;
    for (const auto& product : products_) sum += product.flops();
    return sum;
  }

 private:
  std::vector<LinearProducts<Products>> products_;
};

template <class Products>
void add_products() {
  const CaseName name = CaseName("movielens_gemm").with("B", 128).with("by", Products::name);
  for (const Index experts : {8, 4, 2}) {
    add_case(name.with("experts", experts), [=] { return StepProducts<Products>(experts); });
  }
}

}  // namespace

void add_cases() {
  add_products<EigenProducts>();
  add_products<LibraryProducts>();
}

}  // namespace selgate::benchmarks::movielens_gemm
