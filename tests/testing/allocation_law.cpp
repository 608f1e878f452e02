// SPDX-License-Identifier: MIT
#include <selgate/testing/allocation_law.hpp>

#include <selgate/layer/relu.hpp>

#include "catch.hpp"

using namespace selgate;

namespace {

/// ReLU, which says that it allocates in backward passes with or without an executor.
template <class S>
struct AllocatingRelu : Relu<S> {
  int* allocations;
  bool on_threads;

  AllocatingRelu(int* count, bool threads) : Relu<S>(3), allocations(count), on_threads(threads) {}
  void backward(const Context& context, const In<S>& x, const In<S>& y, const In<S>& dy, Out<S> dx,
                Empty& gradient, Empty& cache) const {
    if ((context.executor != nullptr) == on_threads) ++*allocations;
    Relu<S>::backward(context, x, y, dy, dx, gradient, cache);
  }
};

}  // namespace

TEST_CASE("allocation law: what was allocated before the last passes does not count") {
  int calls = 0;
  const auto steady = [] { return 7; };
  const auto rising = [&] { return ++calls; };
  const auto make = [](auto scalar, Rng&) { return Relu<decltype(scalar)>(3); };
  CHECK(check_allocation(make, steady).ok());
  CHECK(check_allocation(make, rising).failed("no allocation"));
}

TEST_CASE("allocation law: catches an allocation, on threads too") {
  const bool on_threads = GENERATE(false, true);
  int allocations = 0;
  const LawReport report = check_allocation(
      [&](auto scalar, Rng&) { return AllocatingRelu<decltype(scalar)>(&allocations, on_threads); },
      [&] { return allocations; });
  CHECK(report.failed("no allocation"));
  for (const LawOutcome& outcome : report.outcomes()) {
    const bool threads = outcome.detail.find("threads") != std::string::npos;
    CHECK(outcome.error == (threads == on_threads ? 2 : 0));
  }
}
