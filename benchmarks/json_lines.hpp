// SPDX-License-Identifier: MIT
#pragma once

#include <benchmark/benchmark.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdio>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

namespace selgate::benchmarks {

/// Prints a line of JSON for each case:
///
///   {"case": "gate_fwd_softmax", "n": 8, "k": 1, "p": 128, "B": 256, "impl": "selgate",
///    "threads": 1, "median_us": 9.87, "flops": 532480}
///
/// The settings come out of the case's name, see CaseName. The time is the fastest of three
/// medians, each over a third of the repetitions: what else the machine does rarely lasts through
/// all of them.
class JsonLines : public benchmark::BenchmarkReporter {
 public:
  bool ReportContext(const Context&) override { return true; }

  /// Google Benchmark hands over all repetitions of a case at once, then their statistics.
  void ReportRuns(const std::vector<Run>& runs) override {
    std::vector<double> microseconds;
    for (const Run& run : runs) {
      if (run.error_occurred) {
        std::fprintf(stderr, "%s: %s\n", run.benchmark_name().c_str(), run.error_message.c_str());
      } else if (run.run_type == Run::RT_Iteration) {
        const double unit = benchmark::GetTimeUnitMultiplier(run.time_unit);
        microseconds.push_back(run.GetAdjustedRealTime() / unit * 1e6);
      }
    }
    if (microseconds.empty()) return;
    std::string line = settings(runs[0].run_name.function_name);
    line += field("threads", std::to_string(runs[0].threads));
    line += field("median_us", rounded(fastest_median(microseconds)));
    for (const auto& [name, counter] : runs[0].counters) {
      line += field(name, rounded(counter.value));
    }
    std::printf("{%s}\n", line.c_str() + std::string_view(", ").size());
    std::fflush(stdout);
  }

 private:
  static double fastest_median(std::vector<double> times) {
    const std::size_t third = times.size() / 3;
    if (third == 0) return *std::min_element(times.begin(), times.end());
    double fastest = std::numeric_limits<double>::infinity();
    for (std::size_t part = 0; part < 3; ++part) {
      const auto first = times.begin() + static_cast<std::ptrdiff_t>(part * third);
      const auto middle = first + static_cast<std::ptrdiff_t>(third / 2);
      std::nth_element(first, middle, first + static_cast<std::ptrdiff_t>(third));
      fastest = std::min(fastest, *middle);
    }
    return fastest;
  }

  /// The fields in "name/key:value/key:value".
  static std::string settings(std::string_view name) {
    std::string line;
    bool has_impl = false;
    std::string_view key = "case";
    while (true) {
      const auto slash = name.find('/');
      line += field(key, literal(name.substr(0, slash)));
      has_impl |= key == "impl";
      if (slash == name.npos) break;
      name.remove_prefix(slash + 1);
      key = name.substr(0, name.find(':'));
      name.remove_prefix(key.size() + 1);
    }
    return has_impl ? line : line + field("impl", literal("selgate"));
  }

  static std::string field(std::string_view key, std::string_view value) {
    return ", \"" + std::string(key) + "\": " + std::string(value);
  }
  static std::string literal(std::string_view value) {
    const bool number = value.find_first_not_of("0123456789") == value.npos;
    if (number || value == "true" || value == "false") return std::string(value);
    return '"' + std::string(value) + '"';
  }
  static std::string rounded(double value) {
    char text[64];
    std::snprintf(text, sizeof text, value == std::floor(value) ? "%.0f" : "%.4f", value);
    return text;
  }
};

}  // namespace selgate::benchmarks
