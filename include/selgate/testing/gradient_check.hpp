// SPDX-License-Identifier: MIT
#pragma once

#include <selgate/core/types.hpp>
#include <selgate/testing/dual.hpp>

#include <algorithm>
#include <cmath>
#include <limits>

namespace selgate {

/// Both take an objective that is generic in its scalar, as in
///
///     auto objective = [&]<class T>(const Vector<T>& at) -> T { ... };

/// df/dx_i at a point, exact to rounding: one pass in dual numbers.
template <class F>
double dual_derivative(F&& f, const Vector<double>& at, Index i) {
  Vector<Dual<double>> point = at.template cast<Dual<double>>();
  point[i].derivative = 1;
  return f(point).derivative;
}
/// The whole gradient: one pass for each coordinate.
template <class F>
Vector<double> dual_gradient(F&& f, const Vector<double>& at) {
  Vector<double> gradient(at.size());
  for (Index i = 0; i < at.size(); ++i) gradient[i] = dual_derivative(f, at, i);
  return gradient;
}

struct Difference {
  double derivative = 0;
  double left = 0, right = 0;  // the one-sided quotients, of which derivative is the mean
  double rounding = 0;         // of derivative: eps |f| / h
  /// |right - left derivative| / max(1, |derivative|): about h |f''| where f is smooth, of order 1
  /// where a kink lies within h.
  double asymmetry = 0;

  /// Of the one-sided quotients the nearer one. One of them is right at a kink, or next to one.
  [[nodiscard]] double side_nearest(double value) const {
    return std::abs(left - value) < std::abs(right - value) ? left : right;
  }
};

/// (f(x + h e_i) - f(x - h e_i)) / (2 h): independent of dual numbers. Its error is h^2 |f'''| / 6
/// from the formula and eps |f| / h, a few times, from rounding.
template <class F>
Difference central_difference(F&& f, const Vector<double>& at, Index i, double h = 1e-6) {
  Vector<double> point = at;
  point[i] = at[i] + h;
  const double above = point[i], f_above = f(point);
  point[i] = at[i] - h;
  const double below = point[i], f_below = f(point);
  const double f_at = f(at);
  const double derivative = (f_above - f_below) / (above - below);  // h as it was after rounding
  const double right = (f_above - f_at) / (above - at[i]),
               left = (f_at - f_below) / (at[i] - below);
  const double rounding = std::numeric_limits<double>::epsilon() * std::abs(f_at) / h;
  return {derivative, left, right, rounding,
          std::abs(right - left) / std::max(1.0, std::abs(derivative))};
}

}  // namespace selgate
