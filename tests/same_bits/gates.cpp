// SPDX-License-Identifier: MIT
// The bits of everything that gates compute, for comparison between compilers. Fails where those of
// an example depend on the examples around it.

#include <selgate/gate/gate.hpp>

#include <algorithm>
#include <bit>
#include <concepts>
#include <cstdint>
#include <cstdio>

using namespace selgate;

namespace {

/// One number for all bits of a matrix, in order (FNV-1a).
template <class S>
std::uint64_t digest(const Matrix<S>& values) {
  using Bits = std::conditional_t<sizeof(S) == 4, std::uint32_t, std::uint64_t>;
  std::uint64_t hash = 14695981039346656037u;
  for (Index i = 0; i < values.size(); ++i) {
    hash = (hash ^ std::bit_cast<Bits>(values.data()[i])) * 1099511628211u;
  }
  return hash;
}

/// What a pass computes for some examples; a step's objective weighs each as one of 37.
template <class S>
struct Computed {
  Matrix<S> weights, dx, dparameters;
};
template <class Gates, class S>
Computed<S> pass(const Gates& gates, const Matrix<S>& x, Storage storage) {
  auto cache = gates.make_cache(x.cols());
  auto weights = gates.make_output(x.cols(), storage);
  gates.forward(training(37), x, weights, cache);
  const auto& dweights = weights;  // the derivative of |weights|^2 / 2
  auto gradient = gates.make_gradient();
  Matrix<S> dx = Matrix<S>::Zero(x.rows(), x.cols());
  gates.backward(training(37), x, weights, dweights, dx, gradient, cache);
  return {weights.to_dense(), dx, pack<S>(gradient)};
}

bool failed = false;

/// Whether each example has the same bits in batches of so many.
template <class Gates, class S>
void require_same_bits(const Gates& gates, const Matrix<S>& x, const Computed<S>& expected,
                       Index batch, Storage storage, const char* name) {
  const Index tasks = gates.num_tasks();
  for (Index b = 0; b < x.cols(); b += batch) {
    const Index count = std::min(batch, x.cols() - b);
    const auto got = pass<Gates, S>(gates, x.middleCols(b, count), storage);
    const Matrix<S> weights = expected.weights.middleCols(b * tasks, count * tasks),
                    dx = expected.dx.middleCols(b, count);
    if (digest(got.weights) == digest(weights) && digest(got.dx) == digest(dx)) continue;
    std::printf("%s: examples %ld.. have other bits in a batch of %ld\n", name,
                static_cast<long>(b), static_cast<long>(count));
    failed = true;
  }
}

template <class Map, class Head>
void print(const char* name, typename Head::Options options, Storage storage) {
  using S = typename Head::Scalar;
  options.in_features = 19;
  Rng rng(3);
  const GateBank<Map, Head> gates(options, 2, rng);
  const Matrix<S> x = uniform<S>(19, 37, rng, -1, 1);
  const auto computed = pass<GateBank<Map, Head>, S>(gates, x, storage);
  if constexpr (!gates
                     .is_static) {  // other gates of more logits are promised rounding errors alone
    const bool is_promised = std::same_as<Head, DSelectKHead<S>> || 2 * options.num_experts <= 64;
    for (const Index batch : {1, 2, 5, 16}) {
      if (is_promised) require_same_bits(gates, x, computed, batch, storage, name);
    }
  }
  const auto number = [](std::uint64_t value) { return static_cast<unsigned long long>(value); };
  std::printf("%s n=%ld float%zu %s %s: %016llx %016llx %016llx\n", name,
              static_cast<long>(options.num_experts), 8 * sizeof(S),
              gates.is_static ? "static" : "per example",
              storage == Storage::dense ? "dense" : "routing", number(digest(computed.weights)),
              number(digest(computed.dparameters)), number(digest(computed.dx)));
}

template <class Map, class Head>
void print_both(const char* name, const typename Head::Options& options) {
  for (const Storage storage : {Storage::dense, Storage::routing}) {
    print<Map, Head>(name, options, storage);
  }
}

}  // namespace

int main() {
  for (const Index n : {5, 32, 100}) {
    const DSelectKOptions dselect_k{
        .num_experts = n, .k = 3, .gamma = 0.5, .entropy_weight = 0.1, .code_range = 0.8};
    print_both<Dense<float>, SoftmaxHead<float>>("softmax", {.num_experts = n});
    print_both<Dense<float>, TopKHead<float>>("top-k", {.num_experts = n, .k = 2});
    print_both<Dense<float>, DSelectKHead<float>>("DSelect-k", dselect_k);
    print_both<Dense<double>, DSelectKHead<double>>("DSelect-k", dselect_k);
    print_both<StaticMap<double>, DSelectKHead<double>>("DSelect-k", dselect_k);
    print_both<StaticMap<float>, SoftmaxSelectorHead<float>>("softmax selectors",
                                                             {.num_experts = n, .k = 2});
  }
  return failed ? 1 : 0;
}
