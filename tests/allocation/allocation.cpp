// SPDX-License-Identifier: MIT
// After a warm-up nothing is allocated: counted at malloc itself, below operator new and Eigen.

#include <selgate/selgate.hpp>

#include "catch.hpp"

#include <cstdlib>

#if defined(__SANITIZE_ADDRESS__)
#define SELGATE_COUNTS_MALLOC 0
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SELGATE_COUNTS_MALLOC 0
#endif
#endif
#if !defined(SELGATE_COUNTS_MALLOC)
#define SELGATE_COUNTS_MALLOC 1
#endif

namespace {
std::size_t allocations = 0;  // of every thread; the passes below run in one
}

#if SELGATE_COUNTS_MALLOC
extern "C" {
void* __libc_malloc(std::size_t);
void* __libc_calloc(std::size_t, std::size_t);
void* __libc_realloc(void*, std::size_t);
void* __libc_memalign(std::size_t, std::size_t);
void* malloc(std::size_t size) {
  ++allocations;
  return __libc_malloc(size);
}
void* calloc(std::size_t count, std::size_t size) {
  ++allocations;
  return __libc_calloc(count, size);
}
void* realloc(void* old, std::size_t size) {
  ++allocations;
  return __libc_realloc(old, size);
}
void* aligned_alloc(std::size_t alignment, std::size_t size) {
  ++allocations;
  return __libc_memalign(alignment, size);
}
int posix_memalign(void** out, std::size_t alignment, std::size_t size) {
  ++allocations;
  *out = __libc_memalign(alignment, size);
  return *out == nullptr ? 12 : 0;
}
}
#endif

namespace selgate {
namespace {

constexpr Index batch = 64, features = 20, experts = 8;

template <class F>
std::size_t count(const F& f) {
  const std::size_t before = allocations;
  f();
  return allocations - before;
}

/// Steps of every kind of batch, after one to warm up. The learning rate is so small that gates go on
/// selecting what they did: buffers grow (geometrically) to the largest selection.
template <class Model, template <class> class Optimizer, class Options>
std::size_t allocations_of_training(Model model, const Options& options) {
  using S = typename Model::Scalar;
  Rng rng(1);
  Trainer<Model, Optimizer<Model>> trainer(std::move(model), options, batch, 1);
  const Matrix<S> x = uniform<S>(features, batch, rng);
  const Matrix<S> labels = uniform<S>(2, batch, rng, 0, 1);
  auto step = [&](Index columns) { trainer.step(x.leftCols(columns), {labels.leftCols(columns)}); };
  step(batch);
  return count([&] {
    for (Index columns : {batch, Index{1}, batch / 2, batch}) step(columns);
    trainer.predict(x);
  });
}

template <class S, class Bank, class Gates>
auto model(Bank bank, Gates gates, Storage storage) {
  Rng rng(3);
  const Dense<S> tower({.in_features = bank.out_features(), .out_features = 1}, rng);
  MultiGateMixture mixture(std::move(bank), std::move(gates), storage);
  return MultiTask(std::move(mixture), std::vector<Dense<S>>{tower, tower},
                   {SquaredError<S>{}, BinaryCrossEntropy<S>{}}, {0.5, 0.5});
}

template <class Head>
void check(const typename Head::Options& options) {
  using S = typename Head::Scalar;
  Rng rng(2);
  const DenseBank<S> dense({.in_features = features, .out_features = 16, .num_experts = experts}, rng);
  const ListBank<Dense<S>> list(experts, [&] {
    return Dense<S>({.in_features = features, .out_features = 16, .activation = Activation::relu}, rng);
  });
  const GateBank<Dense<S>, Head> per_example(options, 2, rng);
  const GateBank<StaticMap<S>, Head> fixed(options, 2, rng);
  for (Storage storage : {Storage::dense, Storage::routing}) {
    auto train = [&](const auto& bank, const auto& gates) {
      auto m = model<S>(bank, gates, storage);
      using Model = decltype(m);
      CHECK(allocations_of_training<Model, Adam>(m, AdamOptions{.learning_rate = 1e-9}) == 0);
    };
    train(dense, per_example);
    train(dense, fixed);
    train(list, per_example);
    train(list, fixed);
  }
}

}  // namespace

#if SELGATE_COUNTS_MALLOC
TEST_CASE("allocation: the counter counts") {
  CHECK(count([] { delete new int(1); }) == 1);
  CHECK(count([] { Matrix<float> m(30, 30); m.setZero(); }) == 1);
}
#endif

TEST_CASE("allocation: softmax gates") {
  check<SoftmaxHead<float>>({.in_features = features, .num_experts = experts});
}
TEST_CASE("allocation: top-k gates") {
  check<TopKHead<float>>({.in_features = features, .num_experts = experts, .k = 2});
}
TEST_CASE("allocation: DSelect-k gates") {
  check<DSelectKHead<float>>(
      {.in_features = features, .num_experts = experts, .k = 2, .entropy_weight = 0.1, .code_range = 0.7});
}
TEST_CASE("allocation: softmax-selector gates") {
  check<SoftmaxSelectorHead<float>>(
      {.in_features = features, .num_experts = experts, .k = 2, .entropy_weight = 0.1});
}
TEST_CASE("allocation: the other optimizers") {
  Rng rng(2);
  const DenseBank<double> bank({.in_features = features, .out_features = 16, .num_experts = experts}, rng);
  const GateBank<StaticMap<double>, TopKHead<double>> gates({.num_experts = experts, .k = 2}, 2, rng);
  const auto m = model<double>(bank, gates, Storage::dense);
  using Model = std::remove_const_t<decltype(m)>;
  CHECK(allocations_of_training<Model, Sgd>(m, SgdOptions{.learning_rate = 1e-9, .momentum = 0.9}) == 0);
  CHECK(allocations_of_training<Model, Adagrad>(m, AdagradOptions{.learning_rate = 1e-9}) == 0);
}

}  // namespace selgate
