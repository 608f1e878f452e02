// SPDX-License-Identifier: MIT
#include <selgate/optim/schedule.hpp>

#include "catch.hpp"

#include <limits>

using namespace selgate;
using Catch::Matchers::ContainsSubstring;
using Catch::Matchers::WithinRel;

TEST_CASE("schedule: constant") {
  const Schedule schedule = Schedule::constant(0.3);
  for (const std::uint64_t step : {std::uint64_t{0}, std::uint64_t{7}, ~std::uint64_t{0}}) {
    CHECK(schedule(step) == 0.3);
  }
}

TEST_CASE("schedule: linear between two held ends") {
  const Schedule schedule = Schedule::linear(2, -6, 10, 18);
  CHECK(schedule(0) == 2);
  CHECK(schedule(10) == 2);
  CHECK(schedule(11) == 1);
  CHECK(schedule(14) == -2);
  CHECK(schedule(17) == -5);
  CHECK(schedule(18) == -6);
  CHECK(schedule(~std::uint64_t{0}) == -6);
}

TEST_CASE("schedule: zero, then a ramp or a jump") {
  const Schedule ramp = Schedule::linear(0, 0.5, 100, 200);
  CHECK(ramp(0) == 0);
  CHECK(ramp(100) == 0);
  CHECK(ramp(150) == 0.25);
  CHECK(ramp(200) == 0.5);
  const Schedule jump = Schedule::linear(0, 0.5, 100, 100);
  CHECK(jump(99) == 0);
  CHECK(jump(100) == 0.5);
  const Schedule at_once = Schedule::linear(0, 0.5, 0, 0);  // a warm-up of no steps
  CHECK(at_once(0) == 0.5);
}

TEST_CASE("schedule: exponential is evenly spaced on a log scale") {
  const Schedule anneal = Schedule::exponential(1e-2, 1e-16, 0, 14);
  CHECK(anneal(0) == 1e-2);
  for (std::uint64_t step = 1; step < 14; ++step) {
    CHECK_THAT(anneal(step), WithinRel(std::pow(10.0, -2.0 - static_cast<double>(step)), 1e-14));
  }
  CHECK(anneal(14) == 1e-16);
  CHECK(anneal(1000) == 1e-16);
  // The ratio of the ends would overflow; the way between does not.
  CHECK_THAT(Schedule::exponential(1e-300, 1e300, 5, 7)(6), WithinRel(1.0, 1e-12));
}

TEST_CASE("schedule: arguments out of range") {
  const double inf = std::numeric_limits<double>::infinity(), nan = inf - inf;
  for (const double bad : {inf, -inf, nan}) {
    CHECK_THROWS_AS(Schedule::constant(bad), config_error);
    CHECK_THROWS_AS(Schedule::linear(bad, 1, 0, 1), config_error);
    CHECK_THROWS_AS(Schedule::linear(1, bad, 0, 1), config_error);
    CHECK_THROWS_AS(Schedule::exponential(bad, 1, 0, 1), config_error);
    CHECK_THROWS_AS(Schedule::exponential(1, bad, 0, 1), config_error);
  }
  CHECK_THROWS_WITH(Schedule::linear(1, nan, 0, 1),
                    ContainsSubstring("to: expected a finite number"));
  CHECK_THROWS_WITH(Schedule::exponential(0, 1, 0, 1),
                    ContainsSubstring("from: expected > 0, got 0"));
  CHECK_THROWS_WITH(Schedule::exponential(1, -1, 0, 1),
                    ContainsSubstring("to: expected > 0, got -1"));
  CHECK_THROWS_AS(Schedule::linear(0, 1, 2, 1), config_error);
  CHECK_THROWS_WITH(Schedule::linear(0, 1, 2, 1),
                    ContainsSubstring("begin: expected <= end = 1, got 2"));
}
