// SPDX-License-Identifier: MIT
#pragma once

#include <selgate/core/error.hpp>
#include <selgate/core/types.hpp>

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace selgate {

/// How one law went: its worst error, what was allowed, and where it was worst.
struct LawOutcome {
  std::string law;
  double error = 0;
  double tolerance = 0;
  std::string detail;

  [[nodiscard]] bool ok() const { return error <= tolerance; }  // a NaN is not ok
};

/// The outcomes of a check, to be used with any test framework:
///
///     const LawReport report = check_layer(make, {});
///     INFO(report.failures());
///     CHECK(report.ok());
class LawReport {
 public:
  void add(LawOutcome outcome) { outcomes_.push_back(std::move(outcome)); }
  /// A law that holds or does not.
  void add(std::string law, bool holds, std::string detail) {
    add({std::move(law), holds ? 0.0 : 1.0, 0, std::move(detail)});
  }
  /// The law that got[i] = expected[i] for all i, where the error is
  /// |got - expected| / max(1, |expected|) and infinite beside a NaN; name(i) says what entry i is.
  template <class S, class Name>
  void compare(std::string law, const Vector<S>& got, const Vector<S>& expected, double tolerance,
               const Name& name) {
    LawOutcome outcome{std::move(law), 0, tolerance, {}};
    if (got.size() != expected.size()) {
      outcome.error = std::numeric_limits<double>::infinity();
      outcome.detail = to_text(got.size()) + " entries, expected " + to_text(expected.size());
    } else {
      for (Index i = 0; i < got.size(); ++i) {
        const double g = static_cast<double>(got[i]), e = static_cast<double>(expected[i]);
        double error = g == e ? 0 : std::abs(g - e) / std::max(1.0, std::abs(e));
        if (std::isnan(error)) error = std::numeric_limits<double>::infinity();
        if (error > outcome.error) {
          outcome.error = error;
          outcome.detail = name(i) + ": got " + to_text(g) + ", expected " + to_text(e);
        }
      }
    }
    add(std::move(outcome));
  }

  [[nodiscard]] const std::vector<LawOutcome>& outcomes() const { return outcomes_; }
  [[nodiscard]] bool ok() const {
    return std::all_of(outcomes_.begin(), outcomes_.end(), [](const auto& o) { return o.ok(); });
  }
  /// Whether the law of this name failed, for any scalar.
  [[nodiscard]] bool failed(std::string_view law) const {
    return std::any_of(outcomes_.begin(), outcomes_.end(),
                       [&](const auto& o) { return o.law == law && !o.ok(); });
  }
  /// One line for each failed law, empty if none.
  [[nodiscard]] std::string failures() const {
    std::string text;
    for (const LawOutcome& outcome : outcomes_) {
      if (outcome.ok()) continue;
      text += outcome.law + ": error " + to_text(outcome.error) + " > " +
              to_text(outcome.tolerance) + (outcome.detail.empty() ? "" : " at " + outcome.detail) +
              "\n";
    }
    return text;
  }

 private:
  std::vector<LawOutcome> outcomes_;
};

}  // namespace selgate
