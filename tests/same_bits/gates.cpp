// SPDX-License-Identifier: MIT
// The bits of everything that gates compute, for comparison between compilers.

#include <selgate/gate/gate.hpp>

#include <bit>
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

template <class Map, class Head>
void print(const char* name, typename Head::Options options, Storage storage) {
  using S = typename Head::Scalar;
  constexpr Index batch = 37;
  options.in_features = 19;
  Rng rng(3);
  const GateBank<Map, Head> gates(options, 2, rng);
  const Matrix<S> x = uniform<S>(19, batch, rng, -1, 1);
  auto cache = gates.make_cache(batch);
  auto weights = gates.make_output(batch, storage);
  gates.forward(training(batch), x, weights, cache);
  auto dweights = weights;  // the derivative of |weights|^2 / 2
  auto gradient = gates.make_gradient();
  Matrix<S> dx = Matrix<S>::Zero(19, batch);
  gates.backward(training(batch), x, weights, dweights, dx, gradient, cache);
  const Matrix<S> dparameters = pack<S>(gradient);
  const auto number = [](std::uint64_t value) { return static_cast<unsigned long long>(value); };
  std::printf(
      "%s n=%ld float%zu %s %s: %016llx %016llx %016llx\n", name,
      static_cast<long>(options.num_experts), 8 * sizeof(S),
      gates.is_static ? "static" : "per example", storage == Storage::dense ? "dense" : "routing",
      number(digest<S>(weights.to_dense())), number(digest<S>(dparameters)), number(digest<S>(dx)));
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
    print_both<StaticMap<double>, DSelectKHead<double>>("DSelect-k", dselect_k);
    print_both<StaticMap<float>, SoftmaxSelectorHead<float>>("softmax selectors",
                                                             {.num_experts = n, .k = 2});
  }
}
