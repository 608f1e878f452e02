// SPDX-License-Identifier: MIT
// After a warm-up nothing is allocated: counted at malloc itself, below operator new and Eigen.

#include <selgate/selgate.hpp>

#include "catch.hpp"

#include <cstdlib>

namespace {
std::size_t allocations = 0;  // of every thread; the passes below run in one
}

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

namespace selgate {
namespace {

constexpr Index batch = 64, features = 20, experts = 8;

template <class F>
std::size_t count(const F& f) {
  const std::size_t before = allocations;
  f();
  return allocations - before;
}

/// Steps of every kind of batch, after one to warm up. The learning rate is so small that gates go
/// on selecting what they did: buffers grow (geometrically) to the largest selection.
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

constexpr Index units = 16;

template <class S>
DenseBank<S> dense_bank(Rng& rng) {
  return DenseBank<S>({.in_features = features, .out_features = units, .num_experts = experts},
                      rng);
}
template <class S>
ListBank<Dense<S>> list_bank(Rng& rng) {
  return ListBank<Dense<S>>(experts, [&] {
    return Dense<S>(
        {.in_features = features, .out_features = units, .activation = Activation::relu}, rng);
  });
}

/// Gates on a map, over experts, in both storages.
template <class Map, class Head, class Bank>
void check(const typename Head::Options& options, const Bank& bank) {
  using S = typename Head::Scalar;
  Rng rng(2);
  const GateBank<Map, Head> gates(options, 2, rng);
  for (Storage storage : {Storage::dense, Storage::routing}) {
    const auto m = model<S>(bank, gates, storage);
    using Model = std::remove_const_t<decltype(m)>;
    CHECK(allocations_of_training<Model, Adam>(m, AdamOptions{.learning_rate = 1e-9}) == 0);
  }
}

}  // namespace

TEST_CASE("allocation: the counter counts") {
  CHECK(count([] { delete new int(1); }) == 1);
  CHECK(count([] {
          Matrix<float> m(30, 30);
          m.setZero();
        }) == 1);
}

// Heads, maps and banks know nothing of each other: each is here at least once, not each pair.
TEST_CASE("allocation: softmax gates") {
  Rng rng(1);
  check<Dense<float>, SoftmaxHead<float>>({.in_features = features, .num_experts = experts},
                                          dense_bank<float>(rng));
}
TEST_CASE("allocation: top-k gates") {
  Rng rng(1);
  check<StaticMap<float>, TopKHead<float>>({.num_experts = experts, .k = 2}, list_bank<float>(rng));
}
TEST_CASE("allocation: DSelect-k gates") {
  Rng rng(1);
  const DSelectKOptions options{.in_features = features,
                                .num_experts = experts,
                                .k = 2,
                                .entropy_weight = 0.1,
                                .code_range = 0.7};
  check<Dense<float>, DSelectKHead<float>>(options, list_bank<float>(rng));
  check<StaticMap<float>, DSelectKHead<float>>(options, dense_bank<float>(rng));
}
TEST_CASE("allocation: softmax-selector gates") {
  Rng rng(1);
  check<Dense<float>, SoftmaxSelectorHead<float>>(
      {.in_features = features, .num_experts = experts, .k = 2, .entropy_weight = 0.1},
      dense_bank<float>(rng));
}
TEST_CASE("allocation: sums of units without towers") {
  Rng rng(1);
  DenseBank<float> bank(
      {.in_features = features, .out_features = 1, .num_experts = experts, .units_per_output = 4},
      rng);
  GateBank<StaticMap<float>, TopKHead<float>> gates({.num_experts = experts, .k = 2}, 2, rng);
  const std::vector<Loss<float>> losses(2, SquaredError<float>{});
  const MultiTask m(MultiGateMixture(std::move(bank), std::move(gates)), losses, {0.5, 0.5});
  using Model = std::remove_const_t<decltype(m)>;
  CHECK(allocations_of_training<Model, Adam>(m, AdamOptions{.learning_rate = 1e-9}) == 0);
}
TEST_CASE("allocation: the other optimizers") {
  Rng rng(2);
  const GateBank<StaticMap<double>, TopKHead<double>> gates({.num_experts = experts, .k = 2}, 2,
                                                            rng);
  const auto m = model<double>(dense_bank<double>(rng), gates, Storage::dense);
  using Model = std::remove_const_t<decltype(m)>;
  CHECK(allocations_of_training<Model, Sgd>(
            m, SgdOptions{.learning_rate = 1e-9, .momentum = 0.9}) == 0);
  CHECK(allocations_of_training<Model, Adagrad>(m, AdagradOptions{.learning_rate = 1e-9}) == 0);
}

}  // namespace selgate
