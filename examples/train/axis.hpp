// SPDX-License-Identifier: MIT
#pragma once

#include "gnuplot.hpp"
#include "table.hpp"

#include <selgate/core/error.hpp>

#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

namespace selgate::examples::detail {

/// The least of 1, 2, 5 times a power of ten that cuts the length into at most `parts`.
inline double nice_step(double length, double parts) {
  const double least = length / parts * (1 - 1e-9);
  const double power = std::pow(10, std::floor(std::log10(least)));
  for (double digit : {1.0, 2.0, 5.0}) {
    if (digit * power >= least) return digit * power;
  }
  return 10 * power;
}

/// Makes a range long enough to be cut into steps.
inline void widen(double& low, double& high) {
  const double size = (std::max)(std::abs(low), std::abs(high));
  if (high - low > 1e-6 * size) return;
  const double margin = size == 0 ? 1 : size / 2;
  low -= margin;
  high += margin;
}

/// i * step, rounded once: 3 * 0.1 is 0.3.
inline double multiple(double i, double step) {
  return (step < 1 ? i / std::round(1 / step) : i * step) + 0.0;  // 0, never -0
}

/// The multiples of a nice step from low to high.
inline std::vector<double> nice_marks(double low, double high, double parts) {
  const double step = nice_step(high - low, parts);
  std::vector<double> marks;
  const double last = std::floor(high / step + 1e-9);
  for (double i = std::ceil(low / step - 1e-9); i <= last; ++i) marks.push_back(multiple(i, step));
  return marks;
}

/// Marks as gnuplot's tics take them, ("0" 0, "5k" 5000), with as few digits as tell them apart; or
/// without text.
inline std::string gnuplot_marks(const std::vector<double>& marks, bool with_text = true) {
  double largest = 0;
  for (double mark : marks) largest = (std::max)(largest, std::abs(mark));
  const double unit = largest >= 5000 ? 1000 : 1;
  int digits = 0;
  auto rounds = [&](double mark) {
    const double scaled = mark / unit * std::pow(10, digits);
    return std::abs(scaled - std::round(scaled)) < 1e-6;
  };
  while (digits < 9 && !std::all_of(marks.begin(), marks.end(), rounds)) ++digits;
  std::string list = "(";
  for (double mark : marks) {
    const std::string text = fixed(mark / unit, digits) + (unit == 1 || mark == 0 ? "" : "k");
    list += (list.size() == 1 ? "" : ", ") + gnuplot_string(with_text ? text : "") + " " +
            to_text(mark);
  }
  return list + ")";
}

/// Moves apart what is nearer than `distance`, by as little as some rounds find; the order stays.
inline void spread_out(std::vector<double>& ascending, double distance) {
  for (int round = 0; round < 50; ++round) {
    for (std::size_t i = 1; i < ascending.size(); ++i) {
      const double missing = (std::max)(0.0, distance - (ascending[i] - ascending[i - 1]));
      ascending[i - 1] -= missing / 2;
      ascending[i] += missing / 2;
    }
  }
}

}  // namespace selgate::examples::detail
