// SPDX-License-Identifier: MIT
#pragma once

#include <benchmark/benchmark.h>

#include <cstdint>
#include <memory>
#include <sstream>
#include <string>
#include <type_traits>

namespace selgate::benchmarks {

/// What a case measures: a name and its settings, as in "gate_fwd_softmax/n:8/k:1/p:128/B:256".
/// The PyTorch peers spell theirs the same way, so one filter selects on both sides.
class CaseName {
 public:
  explicit CaseName(std::string text) : text_(std::move(text)) {}

  template <class T>
  [[nodiscard]] CaseName with(const char* key, const T& value) const {
    std::ostringstream longer;
    longer << text_ << '/' << key << ':' << std::boolalpha << value;
    return CaseName(longer.str());
  }
  [[nodiscard]] const std::string& text() const { return text_; }

 private:
  std::string text_;
};

/// The work of the case that runs now. Google Benchmark calls a case several times, first to find
/// out how many iterations are enough and then once a repetition; its work is made once, and goes
/// when another case begins.
struct CurrentWork {
  std::string case_name;
  std::shared_ptr<void> work;
  static CurrentWork& instance() {
    static CurrentWork current;
    return current;
  }
};

/// A case that times make()(): what make returns holds models, batches and buffers, is called once
/// an iteration, and says by flops(), where it can, how many floating-point operations that call
/// ran.
template <class Make>
void add_case(const CaseName& name, const Make& make) {
  auto run = [name = name.text(), make](benchmark::State& state) {
    using Work = std::invoke_result_t<const Make&>;
    CurrentWork& current = CurrentWork::instance();
    if (current.case_name != name) {
      current.work.reset();
      current = {name, std::shared_ptr<Work>(new Work(make()))};  // not movable, some of them
    }
    Work& work = *static_cast<Work*>(current.work.get());
    for (auto _ : state) {
      work();
      benchmark::ClobberMemory();
    }
    if constexpr (requires { work.flops(); }) {
      state.counters["flops"] = static_cast<double>(work.flops());
    }
  };
  benchmark::RegisterBenchmark(name.text().c_str(), run)
      ->Unit(benchmark::kMicrosecond)
      ->UseRealTime();
}

/// Each registers the cases of one source file.
namespace gates {
void add_cases();
}
namespace sparse_gates {
void add_cases();
}
namespace layer {
void add_cases();
}
namespace movielens {
void add_cases();
}
namespace movielens_gemm {
void add_cases();
}
namespace by_hand {
void add_cases();
}
namespace synthetic {
void add_cases();
}
namespace fashion {
void add_cases();
}

}  // namespace selgate::benchmarks
