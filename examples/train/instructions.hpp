// SPDX-License-Identifier: MIT
#pragma once

#include <selgate/io/file.hpp>

#include <cstdint>
#include <filesystem>
#include <map>
#include <sstream>
#include <string>

#if __has_include(<valgrind/callgrind.h>)
#include <valgrind/callgrind.h>
#else
#define CALLGRIND_START_INSTRUMENTATION (void)0
#define CALLGRIND_STOP_INSTRUMENTATION (void)0
#define CALLGRIND_DUMP_STATS_AT(name) (void)(name)
#endif

namespace selgate::examples {

/// Runs body. Where `counted`, under valgrind --tool=callgrind --instr-atstart=no, its instructions
/// go to a dump that carries this name.
template <class Body>
void count_instructions([[maybe_unused]] bool counted, const std::string& name, const Body& body) {
  if (counted) CALLGRIND_START_INSTRUMENTATION;
  body();
  if (!counted) return;
  CALLGRIND_STOP_INSTRUMENTATION;
  CALLGRIND_DUMP_STATS_AT(name.c_str());
}

/// What scripts/cost_over_training collects of the dumps: lines "gate step instructions". Throws
/// io_error where it cannot be read, data_error naming the first line that is none.
inline std::map<std::string, double> read_instructions(const std::filesystem::path& path) {
  const InputFile input(path);
  std::string text(input.size(), '\0');
  input.read(0, text.data(), text.size());
  std::istringstream file(text);
  std::map<std::string, double> counts;
  std::string line;
  for (int number = 1; std::getline(file, line); ++number) {
    std::istringstream fields(line);
    std::string gate;
    std::int64_t step = 0;
    double count = 0;
    if (!(fields >> gate >> step >> count)) {
      throw data_error(path.string(), "line " + to_text(number), "counts",
                       "a gate, a step and a number of instructions", line);
    }
    counts[gate + " " + to_text(step)] = count;
  }
  return counts;
}

}  // namespace selgate::examples
