// SPDX-License-Identifier: MIT
// Times gates, layers and whole training steps on one thread. Prints Google Benchmark's table, or
// what compare.py reads with --json_lines.

#include "case.hpp"
#include "json_lines.hpp"

#include <algorithm>
#include <cstdio>
#include <iterator>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace {

constexpr std::string_view json_flag = "--json_lines";

void print_help() {
  std::puts("selgate-benchmarks [--json_lines]   one JSON object per case instead of a table");
  benchmark::PrintDefaultHelp();
}

}  // namespace

int main(int argc, char** argv) {
  const std::span given(argv + 1, static_cast<std::size_t>(argc - 1));
  const bool json_lines = std::ranges::count(given, json_flag) > 0;
  // Many short repetitions: their median survives what else the machine does meanwhile. The user's
  // own flags come later and win.
  std::string defaults[] = {
      "--benchmark_min_time=0.01", "--benchmark_repetitions=9",
      std::string("--benchmark_display_aggregates_only=") + (json_lines ? "false" : "true")};
  std::vector<char*> arguments = {argv[0]};
  for (std::string& flag : defaults) arguments.push_back(flag.data());
  std::ranges::copy_if(given, std::back_inserter(arguments),
                       [](std::string_view flag) { return flag != json_flag; });
  auto count = static_cast<int>(arguments.size());
  benchmark::Initialize(&count, arguments.data(), print_help);
  if (benchmark::ReportUnrecognizedArguments(count, arguments.data())) return 1;

  using namespace selgate::benchmarks;
  gates::add_cases();
  sparse_gates::add_cases();
  layer::add_cases();
  movielens::add_cases();
  movielens_gemm::add_cases();
  by_hand::add_cases();
  synthetic::add_cases();
  fashion::add_cases();

  JsonLines reporter;
  const auto ran = json_lines ? benchmark::RunSpecifiedBenchmarks(&reporter)
                              : benchmark::RunSpecifiedBenchmarks();
  CurrentWork::instance() = {};
  return ran == 0 ? 1 : 0;
}
