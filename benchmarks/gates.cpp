// SPDX-License-Identifier: MIT
// Gates alone, all weights written out: how cost grows with experts, selectors, features and batch.

#include "gate_kind.hpp"
#include "gate_work.hpp"

namespace selgate::benchmarks::gates {
namespace {

struct Size {
  Index n, k, p, batch;
};

/// A static gate reads no features and has one column of weights, whatever p and B.
template <class Map, class Head>
void add_gate(const Size& size, const char* suffix) {
  for (const Passes passes : {Passes::forward, Passes::forward_backward}) {
    const auto name = std::string("gate_") + text(passes) + '_' + Kind<Head>::name + suffix;
    add_case(
        CaseName(name).with("n", size.n).with("k", size.k).with("p", size.p).with("B", size.batch),
        [=] {
          constexpr bool is_static = !Layer<Map>;
          Rng rng(1);
          Gate<Map, Head> gate(Kind<Head>::options(is_static ? 0 : size.p, size.n, size.k), rng);
          return GateWork(std::move(gate), size.p, size.batch, Storage::dense, passes, rng);
        });
  }
}

template <class Head>
void add_gates(const Size& size) {
  add_gate<Dense<float>, Head>(size, "");
  if (size.batch == 1) add_gate<StaticMap<float>, Head>(size, "_static");
}

}  // namespace

void add_cases() {
  std::vector<Size> sizes;
  for (const Index n : {8, 64, 1024}) {
    for (const Index batch : {1, 256, 1024}) sizes.push_back({n, 2, 128, batch});
  }
  sizes.insert(sizes.end(), {{4096, 2, 128, 1},
                             {4096, 2, 128, 256},
                             {Index{1} << 16, 2, 128, 32},
                             {Index{1} << 20, 2, 128, 1},
                             {64, 2, 32, 256},
                             {64, 2, 256, 256}});
  for (const Size& size : sizes) {
    add_gates<SoftmaxHead<float>>({size.n, 1, size.p, size.batch});
    add_gates<TopKHead<float>>(size);
    add_gates<DSelectKHead<float>>(size);
  }
  for (const Index k : {1, 4}) {
    add_gates<TopKHead<float>>({64, k, 128, 256});
    add_gates<DSelectKHead<float>>({64, k, 128, 256});
  }
  add_gates<DSelectKHead<float>>({100, 2, 128, 256});  // spare codes, so the penalty as well
}

}  // namespace selgate::benchmarks::gates
