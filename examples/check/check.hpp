// SPDX-License-Identifier: MIT
#pragma once

#include "case_result.hpp"

#include <selgate/gate/gate_output.hpp>

#include <nlohmann/json.hpp>

#include <iosfwd>
#include <string>
#include <vector>

namespace selgate::examples {

/// Computes everything that a file of reference vectors states and compares. A file with `targets`
/// or `options.units` is a whole multi-gate model, any other is one gate. Sizes come from the
/// options and the examples, and every array must have the shape that they give it.
///
/// Throws data_error, `file: params.W[1]: length: expected 3, found 2`, for what is missing, of the
/// wrong type or length, an unknown name, out of range or not finite; numeric_error where logits
/// overflow.
CaseResult check_case(const nlohmann::json& json, const std::string& file_name = "case",
                      Storage storage = Storage::dense);

/// The JSON value that a file holds. Throws io_error (a directory, say), and data_error with the
/// byte where the text stops being JSON; NaN, Infinity and numbers beyond a double are not.
nlohmann::json read_json(const std::string& path);

struct CheckOptions {
  double tolerance = 1e-9;  // >= 0
  bool verbose = false;     // every quantity, not the largest error alone
};

/// Checks files: to `out` a line `name max_relative_error` a case, to `errors` what is wrong.
/// Returns the exit code of the program: 0, 1 if an error is above the tolerance, 2 if a file
/// cannot be checked (the others still are). Throws config_error for the tolerance.
int check_files(const std::vector<std::string>& paths, const CheckOptions& options,
                std::ostream& out, std::ostream& errors);

}  // namespace selgate::examples
