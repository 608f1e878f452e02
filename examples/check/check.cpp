// SPDX-License-Identifier: MIT
#include "check.hpp"
#include "check_model.hpp"

#include <selgate/io/file.hpp>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <exception>
#include <ostream>

namespace selgate::examples {

namespace {

std::string short_text(double error) {
  std::array<char, 32> buffer;
  const auto end = std::to_chars(buffer.data(), buffer.data() + buffer.size(), error,
                                 std::chars_format::general, 3);
  return {buffer.data(), end.ptr};
}

/// Text from a file on one line of a terminal: control characters become "\x0a".
std::string one_line(const std::string& text) {
  constexpr char digits[] = "0123456789abcdef";
  std::string line;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte == 0x7F) {
      line += {'\\', 'x', digits[byte >> 4], digits[byte & 15]};
    } else {
      line += c;
    }
  }
  return line;
}

}  // namespace

CaseResult check_case(const nlohmann::json& json, const std::string& file_name, Storage storage) {
  const JsonField file(json, file_name);
  CaseResult result{file.at("case").text(), {}};
  const bool is_model =
      !file.at("targets").is_missing() || !file.at("options").at("units").is_missing();
  with_gate_types<double>(
      file, [&]<class Map, class Head>(std::type_identity<Map>, std::type_identity<Head>) {
        if (is_model) {
          check_model<Map, Head>(file, storage, result);
        } else {
          check_gate<Map, Head>(file, storage, result);
        }
      });
  return result;
}

nlohmann::json read_json(const std::string& path) {
  const InputFile file(path);
  std::string text(file.size(), '\0');
  text.resize(file.read(0, text.data(), text.size()));
  auto refusal = [&](const std::string& place, const nlohmann::json::exception& problem) {
    const std::string found = problem.what();  // "[json.exception.parse_error.101] ..."
    return data_error(path, place, "text", "JSON", found.substr(found.find("] ") + 2));
  };
  try {
    return nlohmann::json::parse(text);
  } catch (const nlohmann::json::parse_error& problem) {
    throw refusal("byte " + to_text(problem.byte), problem);
  } catch (const nlohmann::json::out_of_range& problem) {
    throw refusal("", problem);
  }
}

int check_files(const std::vector<std::string>& paths, const CheckOptions& options,
                std::ostream& out, std::ostream& errors) {
  const double tolerance = options.tolerance;
  require(std::isfinite(tolerance) && tolerance >= 0, "tolerance", "a finite number >= 0",
          tolerance);
  int exit_code = 0;
  auto fail = [&](const std::string& problem, int code) {
    errors << one_line(problem) << '\n';
    exit_code = (std::max)(exit_code, code);
  };
  for (const std::string& path : paths) {
    try {
      const CaseResult result = check_case(read_json(path), path);
      const Quantity& worst = result.worst();
      out << one_line(result.name) << ' ' << short_text(worst.error) << '\n';
      if (options.verbose) {
        for (const auto& [name, error] : result.quantities) {
          out << "  " << name << ' ' << short_text(error) << '\n';
        }
      }
      if (worst.error > tolerance) {
        fail(path + ": " + worst.name + ": relative error: expected at most " +
                 short_text(tolerance) + ", got " + short_text(worst.error),
             1);
      }
    } catch (const data_error& problem) {
      fail(problem.what(), 2);
    } catch (const io_error& problem) {
      fail(problem.what(), 2);
    } catch (const std::exception& problem) {  // of the library, which does not know the file
      fail(path + ": " + problem.what(), 2);
    }
  }
  return exit_code;
}

}  // namespace selgate::examples
