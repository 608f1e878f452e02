// SPDX-License-Identifier: MIT
// After a warm-up nothing is allocated: counted at malloc itself, below operator new and Eigen.

#include <selgate/selgate.hpp>
#include <selgate/testing/allocation_law.hpp>

#include "catch.hpp"

#include <atomic>
#include <cstdlib>

namespace {
std::atomic<std::size_t> allocations = 0;  // of every thread
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

/// Steps of every kind of batch, after one to warm up, in the caller and then on two threads. The
/// learning rate is so small that gates go on selecting what they did: buffers grow (geometrically)
/// to the largest selection.
template <class Model, template <class> class Optimizer, class Options>
std::size_t allocations_of_training(Model model, const Options& options) {
  using S = typename Model::Scalar;
  Rng rng(1);
  Trainer<Model, Optimizer<Model>> trainer(std::move(model), options, batch, 1);
  const Matrix<S> x = uniform<S>(features, batch, rng);
  const Matrix<S> labels = uniform<S>(2, batch, rng, 0, 2).array().floor().matrix();
  auto step = [&](Index columns) { trainer.step(x.leftCols(columns), {labels.leftCols(columns)}); };
  Executor two_threads(2);
  std::size_t sum = 0;
  for (Executor* executor : {static_cast<Executor*>(nullptr), &two_threads}) {
    trainer.context.executor = executor;
    step(batch);
    sum += count([&] {
      for (Index columns : {batch, Index{1}, batch / 2, batch}) step(columns);
      trainer.predict(x);
    });
  }
  return sum;
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

TEST_CASE("allocation: layers") {
  const Index pool = GENERATE(1, 2);
  const LawReport report = check_allocation(
      [&](auto scalar, Rng& rng) {
        using S = decltype(scalar);
        const Conv2d<S> conv({.in_channels = 2,
                              .height = 9,
                              .width = 9,
                              .out_channels = 3,
                              .kernel = 2,
                              .activation = Activation::relu,
                              .pool = pool},
                             rng);
        MaxPool<S> max_pool({.channels = 3, .height = 8 / pool, .width = 8 / pool});
        const Index rows = max_pool.out_features();
        return Sequential(conv, max_pool, Relu<S>(rows),
                          Dropout<S>({.features = rows, .rate = 0.5}, rng),
                          Dense<S>({.in_features = rows, .out_features = 4}, rng));
      },
      [] { return allocations.load(); }, {.batch = batch});
  INFO(report.failures());
  CHECK(report.ok());
}
TEST_CASE("allocation: an embedding") {
  Rng rng(1);
  Embedding<float> table({.rows = 50, .features = 8}, rng);
  auto gradient = table.make_gradient();
  Adam<Embedding<float>> optimizer({.untouched = Untouched::lazy}, table);
  const std::vector<std::int32_t> ids{3, 49, 3, 0};
  Matrix<float> y(8, 4);
  auto step = [&] {
    set_zero(gradient);
    table.forward({}, ids, y);
    table.backward({}, ids, y, gradient);
    optimizer.step(table, gradient);
  };
  step();
  CHECK(count(step) == 0);
}
TEST_CASE("allocation: a shared bottom and classes") {
  Rng rng(1);
  SharedBottom bottom(Dense<float>({.in_features = features, .out_features = units}, rng), 2);
  const Dense<float> tower({.in_features = units, .out_features = 2}, rng);
  const std::vector<Loss<float>> losses(2, SoftmaxCrossEntropy<float>{});
  const MultiTask m(std::move(bottom), std::vector{tower, tower}, losses, {0.5, 0.5});
  using Model = std::remove_const_t<decltype(m)>;
  CHECK(allocations_of_training<Model, Adam>(m, AdamOptions{.learning_rate = 1e-9}) == 0);
}

}  // namespace selgate
