// SPDX-License-Identifier: MIT
#include <selgate/testing/report.hpp>

#include "catch.hpp"

#include <cmath>
#include <limits>
#include <string>

using namespace selgate;
using Catch::Matchers::ContainsSubstring;

namespace {
Vector<double> vector(std::initializer_list<double> values) {
  return Eigen::Map<const Vector<double>>(values.begin(), static_cast<Index>(values.size()));
}
std::string name(Index i) { return "y[" + std::to_string(i) + "]"; }
constexpr double inf = std::numeric_limits<double>::infinity();
const double nan_value = std::numeric_limits<double>::quiet_NaN();
}  // namespace

TEST_CASE("report: passes what is within tolerance") {
  LawReport report;
  CHECK(report.ok());
  report.compare("near", vector({1, -2, 1000}), vector({1.01, -2, 1010}), 0.01, name);
  report.compare("empty", vector({}), vector({}), 0, name);
  report.compare("infinite", vector({inf}), vector({inf}), 0, name);
  report.add("holds", true, "never shown");
  CHECK(report.ok());
  CHECK(report.failures().empty());
  CHECK(report.outcomes().size() == 4);
  CHECK_FALSE(report.failed("near"));
}

TEST_CASE("report: names the law, the worst error and its place") {
  LawReport report;
  report.add("fine", true, "");
  report.compare("forward", vector({1, 2, 4}), vector({1.5, 2, 2}), 0.25, name);
  report.add("flag", false, "somewhere");
  CHECK_FALSE(report.ok());
  CHECK(report.failed("forward"));
  CHECK_FALSE(report.failed("fine"));
  CHECK_FALSE(report.failed("unknown"));
  CHECK(report.failures() ==
        "forward: error 1 > 0.25 at y[2]: got 4, expected 2\n"
        "flag: error 1 > 0 at somewhere\n");
}

TEST_CASE("report: no NaN, no infinity and no missing entry passes") {
  const double value = GENERATE(-inf, inf, std::numeric_limits<double>::quiet_NaN());
  LawReport report;
  report.compare("got", vector({value}), vector({1}), 1e300, name);
  report.compare("expected", vector({1}), vector({value}), 1e300, name);
  report.compare("sizes", vector({1}), vector({1, 1}), 1e300, name);
  report.add({"NaN", nan_value, 1, ""});
  for (const char* law : {"got", "expected", "sizes", "NaN"}) {
    INFO(law);
    CHECK(report.failed(law));
  }
  CHECK_THAT(report.failures(),
             ContainsSubstring("sizes: error inf > 1e+300 at 1 entries, expected 2"));
}
