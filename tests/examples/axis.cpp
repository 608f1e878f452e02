// SPDX-License-Identifier: MIT
#include "train/axis.hpp"

#include "catch.hpp"

#include <cmath>
#include <string>
#include <vector>

using Catch::Matchers::WithinAbs;
using selgate::examples::detail::gnuplot_marks;
using selgate::examples::detail::nice_marks;
using selgate::examples::detail::nice_step;
using selgate::examples::detail::spread_out;
using selgate::examples::detail::widen;

TEST_CASE("axis: a nice step is the least of 1, 2, 5 that cuts the length into few enough parts") {
  CHECK(nice_step(1, 4) == 0.5);
  CHECK(nice_step(1, 5) == 0.2);
  CHECK(nice_step(10, 10) == 1);
  CHECK(nice_step(19'500, 5) == 5000);
  CHECK(nice_step(6, 1) == 10);
  for (double length : {1e-300, 3e-7, 0.7, 42.0, 8e12}) {
    for (double parts : {1.0, 3.0, 4.0, 8.0}) {
      const double step = nice_step(length, parts);
      CHECK(step * parts >= length * (1 - 1e-8));
      CHECK(step * parts <= length * 2.5 * (1 + 1e-8));
    }
  }
}

TEST_CASE("axis: a range without length is widened, one with length is not") {
  auto widened = [](double low, double high) {
    widen(low, high);
    return std::vector<double>{low, high};
  };
  CHECK(widened(0, 0) == std::vector<double>{-1, 1});
  CHECK(widened(-4, -4) == std::vector<double>{-6, -2});
  CHECK(widened(1e20, 1e20) == std::vector<double>{0.5e20, 1.5e20});
  CHECK(widened(0, 1e-300) == std::vector<double>{0, 1e-300});
  CHECK(widened(100, 101) == std::vector<double>{100, 101});
}

TEST_CASE("axis: marks are the multiples in the range, its ends included") {
  CHECK(nice_marks(0, 1, 4) == std::vector<double>{0, 0.5, 1});
  CHECK(nice_marks(0, 19'402.5, 5) == std::vector<double>{0, 5000, 10'000, 15'000});
  CHECK(nice_marks(-0.3, 0.3, 4) == std::vector<double>{-0.2, 0, 0.2});
  CHECK_FALSE(std::signbit(nice_marks(-0.3, 0.3, 4)[1]));
  CHECK_FALSE(std::signbit(nice_marks(0, 1, 4)[0]));
  CHECK(nice_marks(0.1, 0.3, 2) == std::vector<double>{0.1, 0.2, 0.3});  // 3 * 0.1 is not 0.3
}

TEST_CASE("axis: marks as gnuplot takes them") {
  CHECK(gnuplot_marks({0, 0.5, 1}) == R"-(("0.0" 0, "0.5" 0.5, "1.0" 1))-");
  CHECK(gnuplot_marks({0, 5000, 10'000}) == R"-(("0" 0, "5k" 5000, "10k" 10000))-");
  CHECK(gnuplot_marks({0, 2500, 5000}) == R"-(("0.0" 0, "2.5k" 2500, "5.0k" 5000))-");
  CHECK(gnuplot_marks({16, 32, 128}) == R"-(("16" 16, "32" 32, "128" 128))-");
  CHECK(gnuplot_marks({-0.25, 0.5}) == R"-(("-0.25" -0.25, "0.50" 0.5))-");
  CHECK(gnuplot_marks({}) == "()");
  CHECK(gnuplot_marks({0, 1}, false) == R"-(("" 0, "" 1))-");
}

TEST_CASE("axis: labels too near are moved apart and keep their order and their middle") {
  std::vector<double> places = {0.1, 0.5, 0.52, 0.53, 0.9};
  spread_out(places, 0.1);
  CHECK(places.front() == 0.1);
  CHECK(places.back() == 0.9);
  for (std::size_t i = 1; i < places.size(); ++i) CHECK(places[i] - places[i - 1] > 0.1 - 1e-6);
  CHECK_THAT(places[1] + places[2] + places[3], WithinAbs(1.55, 1e-12));
  std::vector<double> none;
  spread_out(none, 1);
  CHECK(none.empty());
}
