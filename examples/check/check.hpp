// SPDX-License-Identifier: MIT
#pragma once

#include "check_model.hpp"

#include <selgate/io/file.hpp>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <exception>
#include <ostream>
#include <string>
#include <type_traits>
#include <vector>

namespace selgate::examples {

/// Calls f(std::type_identity<Map>, std::type_identity<Head>) with the types of a file's gate.
template <class S, class F>
void with_gate_types(const JsonField& file, const F& f) {
  const bool is_static = file.at("options").at("static").boolean();
  auto with_head = [&]<class Head>(std::type_identity<Head> head) {
    if (is_static) {
      f(std::type_identity<StaticMap<S>>{}, head);
    } else {
      f(std::type_identity<Dense<S>>{}, head);
    }
  };
  switch (file.at("gate").one_of(gate_kinds)) {
    case GateKind::softmax:
      with_head(std::type_identity<SoftmaxHead<S>>{});
      break;
    case GateKind::top_k:
      with_head(std::type_identity<TopKHead<S>>{});
      break;
    case GateKind::dselect_k:
      with_head(std::type_identity<DSelectKHead<S>>{});
      break;
    case GateKind::softmax_selector:
      with_head(std::type_identity<SoftmaxSelectorHead<S>>{});
      break;
  }
}

/// Computes everything that a file of reference vectors states and compares. A file with `targets`
/// or `options.units` is a whole multi-gate model, any other is one gate. Sizes come from the
/// options and the examples, and every array must have the shape that they give it.
///
/// Throws data_error, `file: params.W[1]: length: expected 3, found 2`, for what is missing, of the
/// wrong type or length, an unknown name, out of range or not finite; numeric_error where logits
/// overflow.
inline CaseResult check_case(const nlohmann::json& json, const std::string& file_name = "case",
                             Storage storage = Storage::dense) {
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

/// The JSON value that a file holds. Throws io_error (a directory, say), and data_error with the
/// byte where the text stops being JSON; NaN, Infinity and numbers beyond a double are not.
inline nlohmann::json read_json(const std::string& path) {
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

struct CheckOptions {
  double tolerance = 1e-9;  // >= 0
  bool verbose = false;     // every quantity, not the largest error alone
};

namespace detail {

inline std::string short_text(double error) {
  std::array<char, 32> buffer;
  const auto end = std::to_chars(buffer.data(), buffer.data() + buffer.size(), error,
                                 std::chars_format::general, 3);
  return {buffer.data(), end.ptr};
}

/// Text from a file on one line of a terminal: control characters become "\x0a".
inline std::string one_line(const std::string& text) {
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

}  // namespace detail

/// Checks files: to `out` a line `name max_relative_error` a case, to `errors` what is wrong.
/// Returns the exit code of the program: 0, 1 if an error is above the tolerance, 2 if a file
/// cannot be checked (the others still are). Throws config_error for the tolerance.
inline int check_files(const std::vector<std::string>& paths, const CheckOptions& options,
                       std::ostream& out, std::ostream& errors) {
  const double tolerance = options.tolerance;
  require(std::isfinite(tolerance) && tolerance >= 0, "tolerance", "a finite number >= 0",
          tolerance);
  int exit_code = 0;
  auto fail = [&](const std::string& problem, int code) {
    errors << detail::one_line(problem) << '\n';
    exit_code = (std::max)(exit_code, code);
  };
  for (const std::string& path : paths) {
    try {
      const CaseResult result = check_case(read_json(path), path);
      const Quantity& worst = result.worst();
      out << detail::one_line(result.name) << ' ' << detail::short_text(worst.error) << '\n';
      if (options.verbose) {
        for (const auto& [name, error] : result.quantities) {
          out << "  " << name << ' ' << detail::short_text(error) << '\n';
        }
      }
      if (worst.error > tolerance) {
        fail(path + ": " + worst.name + ": relative error: expected at most " +
                 detail::short_text(tolerance) + ", got " + detail::short_text(worst.error),
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
