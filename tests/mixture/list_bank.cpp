// SPDX-License-Identifier: MIT
#include <selgate/mixture/list_bank.hpp>

#include <selgate/layer/dense.hpp>
#include <selgate/testing/mixture_laws.hpp>

#include "catch.hpp"

#include <memory>
#include <stdexcept>
#include <string>

using namespace selgate;

namespace {

template <class S>
ListBank<Dense<S>> dense_experts(Index n, Rng& rng) {
  return ListBank<Dense<S>>(n, [&] {
    return Dense<S>({.in_features = 3, .out_features = 2, .activation = Activation::relu}, rng);
  });
}

/// y = 2 x; remembers which examples it saw, or throws.
struct Watcher {
  using Scalar = double;
  using Gradient = Empty;
  struct Seen {
    std::vector<Index> forward, backward;
  };
  struct Cache {
    Seen* seen;
  };
  std::shared_ptr<Seen> seen = std::make_shared<Seen>();
  bool throws = false;

  [[nodiscard]] Index in_features() const { return 2; }
  [[nodiscard]] Index out_features() const { return 2; }
  Cache make_cache(Index) const { return {seen.get()}; }
  Gradient make_gradient() const { return {}; }
  void forward(const Context& context, const In<double>& x, Out<double> y, Cache& cache) const {
    if (throws) throw std::runtime_error("watcher");
    for (Index c = 0; c < x.cols(); ++c) cache.seen->forward.push_back(context.example(c));
    y = 2 * x;
  }
  void backward(const Context& context, const In<double>& x, const In<double>&,
                const In<double>& dy, Out<double> dx, Gradient&, Cache& cache) const {
    for (Index c = 0; c < x.cols(); ++c) cache.seen->backward.push_back(context.example(c));
    if (wanted(dx)) dx += 2 * dy;
  }
  double regularization(const Context&, const Cache&) const { return 10; }
  [[nodiscard]] Flops flops(Index columns, const Cache&) const {
    return {.forward = 2 * columns, .backward = 0, .input_gradient = 4 * columns};
  }
  template <class F, class... M>
  static void visit(F&&, M&...) {}
};

/// 4 examples; expert 0 sees all, expert 1 examples 1 and 3, expert 2 none.
Dispatch dispatch_of_three() {
  GateOutput<double> weights(Storage::dense, 3, 4);
  weights.begin(4);
  weights.dense() << 1, 1, 1, 1, 0, 1, 0, 1, 0, 0, 0, 0;
  Dispatch dispatch(3);
  dispatch.build(weights, 1, 4, false);
  return dispatch;
}

}  // namespace

TEST_CASE("list bank: laws") {
  const Index n = GENERATE(1, 2, 5);
  const LawReport report = check_bank(
      [&](auto scalar, Rng& rng) { return dense_experts<decltype(scalar)>(n, rng); },
      {.batch = 7});
  INFO(report.failures());
  CHECK(report.ok());
}

TEST_CASE("list bank: an expert runs for its examples alone, and knows who they are") {
  const bool selection = GENERATE(false, true);
  ListBank<Watcher> bank({Watcher{}, Watcher{}, Watcher{}});
  const Dispatch dispatch = dispatch_of_three();
  auto cache = bank.make_cache(4);
  auto gradient = bank.make_gradient();
  ExpertBlocks<double> outputs, doutputs;
  outputs.layout(dispatch, 2);
  doutputs.layout(dispatch, 2);
  const std::vector<Index> examples{10, 11, 12, 13};
  Context context;
  if (selection) context.examples = examples;
  Rng rng(1);
  const Matrix<double> x = uniform<double>(2, 4, rng);
  bank.forward(context, dispatch, x, outputs, cache);
  doutputs.block(dispatch, 0).setOnes();
  doutputs.block(dispatch, 1).setOnes();
  Matrix<double> dx = Matrix<double>::Zero(2, 4);
  bank.backward(context, dispatch, x, outputs, doutputs, dx, gradient, cache);

  const Index base = selection ? 10 : 0;
  using Examples = std::vector<Index>;
  CHECK(bank.expert(0).seen->forward == Examples{base, base + 1, base + 2, base + 3});
  CHECK(bank.expert(1).seen->forward == Examples{base + 1, base + 3});
  CHECK(bank.expert(2).seen->forward.empty());
  for (Index e = 0; e < 3; ++e)
    CHECK(bank.expert(e).seen->backward == bank.expert(e).seen->forward);
  CHECK(outputs.block(dispatch, 1).col(1) == 2 * x.col(3));
  CHECK(dx == (Matrix<double>(2, 4) << 2, 4, 2, 4, 2, 4, 2, 4).finished());
  CHECK((gradient.touched.contains(0) && gradient.touched.contains(1) &&
         !gradient.touched.contains(2)));
  CHECK(bank.regularization(context, dispatch, cache) == 20);
  CHECK(bank.flops(dispatch, cache) ==
        Flops{.forward = 12, .backward = 0, .input_gradient = 24 + 2 * 6});
}

TEST_CASE("list bank: an exception of an expert passes, from any thread") {
  const int threads = GENERATE(1, 3);
  ListBank<Watcher> bank({Watcher{}, Watcher{}, Watcher{}});
  bank.expert(1).throws = true;
  const Dispatch dispatch = dispatch_of_three();
  auto cache = bank.make_cache(4);
  ExpertBlocks<double> outputs;
  outputs.layout(dispatch, 2);
  Executor executor(threads);
  Context context;
  context.executor = &executor;
  const Matrix<double> x = Matrix<double>::Ones(2, 4);
  CHECK_THROWS_WITH(bank.forward(context, dispatch, x, outputs, cache), "watcher");
  bank.expert(1).throws = false;
  bank.forward(context, dispatch, x, outputs, cache);  // and the threads live on
  CHECK(outputs.block(dispatch, 1) == Matrix<double>::Constant(2, 2, 2));
}

TEST_CASE("list bank: rejects experts that do not fit each other") {
  Rng rng(1);
  auto expert = [&](Index in, Index out) {
    return Dense<float>({.in_features = in, .out_features = out}, rng);
  };
  using Bank = ListBank<Dense<float>>;
  CHECK_THROWS_WITH(Bank(std::vector<Dense<float>>{}), "list bank: experts: expected >= 1, got 0");
  CHECK_THROWS_AS(Bank({expert(3, 2), expert(3, 2), expert(3, 4)}), shape_error);
  CHECK_THROWS_WITH(Bank({expert(3, 2), expert(3, 2), expert(3, 4)}),
                    "list bank: expert 2: out_features: expected 2, got 4");
  CHECK_THROWS_WITH(Bank({expert(3, 2), expert(4, 2)}),
                    "list bank: expert 1: in_features: expected 3, got 4");
}

TEST_CASE("list bank: experts differ, and are numbered in files") {
  Rng rng(1);
  const auto bank = dense_experts<float>(2, rng);
  CHECK(bank.expert(0).weight != bank.expert(1).weight);
  std::string text;
  for_each_named_leaf([&](const std::string& path, const auto&) { text += path + " "; }, bank);
  CHECK(text == "0.weight 0.bias 1.weight 1.bias ");
}
