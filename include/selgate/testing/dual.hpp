// SPDX-License-Identifier: MIT
#pragma once

#include <selgate/testing/scalar_traits.hpp>

#include <cmath>
#include <compare>
#include <type_traits>

namespace selgate {

/// A dual number: a value and its derivative in one direction (forward-mode differentiation;
/// Clifford, 1873). Run any function templated on its scalar on Dual, with derivative 1 at the one
/// argument to differentiate by, and it returns its own exact derivative: no step width, no
/// cancellation. Comparisons look at the value alone, so a branch is differentiated as taken.
/// Dual<Dual<double>> gives second derivatives.
template <class T = double>
struct Dual {
  T value{};
  T derivative{};

  constexpr Dual() = default;
  constexpr Dual(const T& v, const T& d) : value(v), derivative(d) {}
  /// A constant: its derivative is 0.
  template <class U>
    requires std::is_arithmetic_v<U>
  constexpr Dual(U constant) : value(static_cast<T>(constant)) {}
  template <class U>
    requires std::is_arithmetic_v<U>
  explicit constexpr operator U() const { return static_cast<U>(value); }

  constexpr Dual& operator+=(const Dual& b) {
    return *this = {value + b.value, derivative + b.derivative};
  }
  constexpr Dual& operator-=(const Dual& b) {
    return *this = {value - b.value, derivative - b.derivative};
  }
  constexpr Dual& operator*=(const Dual& b) {
    return *this = {value * b.value, derivative * b.value + value * b.derivative};
  }
  constexpr Dual& operator/=(const Dual& b) {
    const T quotient = value / b.value;
    return *this = {quotient, (derivative - quotient * b.derivative) / b.value};
  }
  friend constexpr Dual operator+(Dual a, const Dual& b) { return a += b; }
  friend constexpr Dual operator-(Dual a, const Dual& b) { return a -= b; }
  friend constexpr Dual operator*(Dual a, const Dual& b) { return a *= b; }
  friend constexpr Dual operator/(Dual a, const Dual& b) { return a /= b; }
  friend constexpr Dual operator-(const Dual& a) { return {-a.value, -a.derivative}; }
  friend constexpr Dual operator+(const Dual& a) { return a; }

  friend constexpr bool operator==(const Dual& a, const Dual& b) { return a.value == b.value; }
  friend constexpr auto operator<=>(const Dual& a, const Dual& b) { return a.value <=> b.value; }

  friend Dual exp(const Dual& x) {
    using std::exp;
    const T e = exp(x.value);
    return {e, e * x.derivative};
  }
  friend Dual expm1(const Dual& x) {
    using std::exp, std::expm1;
    return {expm1(x.value), exp(x.value) * x.derivative};
  }
  friend Dual log(const Dual& x) {
    using std::log;
    return {log(x.value), x.derivative / x.value};
  }
  friend Dual log1p(const Dual& x) {
    using std::log1p;
    return {log1p(x.value), x.derivative / (T(1) + x.value)};
  }
  friend Dual sqrt(const Dual& x) {
    using std::sqrt;
    const T root = sqrt(x.value);
    return {root, x.derivative / (T(2) * root)};
  }
  friend Dual tanh(const Dual& x) {
    using std::tanh;
    const T t = tanh(x.value);
    return {t, (T(1) - t * t) * x.derivative};
  }
  friend Dual erf(const Dual& x) {
    using std::erf, std::exp;
    const T slope = T(1.1283791670955125739L) * exp(-x.value * x.value);  // 2 / sqrt(pi) e^(-x^2)
    return {erf(x.value), slope * x.derivative};
  }
  friend Dual erfc(const Dual& x) {
    using std::erfc;
    return {erfc(x.value), -erf(x).derivative};
  }
  /// 0 at the kink.
  friend Dual abs(const Dual& x) {
    using std::abs;
    return {abs(x.value), x.value > T(0) ? x.derivative : x.value < T(0) ? -x.derivative : T(0)};
  }
  friend Dual floor(const Dual& x) {
    using std::floor;
    return {floor(x.value), T(0)};
  }
  friend Dual ceil(const Dual& x) {
    using std::ceil;
    return {ceil(x.value), T(0)};
  }
  friend bool isfinite(const Dual& x) {
    using std::isfinite;
    return isfinite(x.value);
  }
  friend bool isinf(const Dual& x) {
    using std::isinf;
    return isinf(x.value);
  }
  friend bool isnan(const Dual& x) {
    using std::isnan;
    return isnan(x.value);
  }
};

}  // namespace selgate

template <class T>
struct std::numeric_limits<selgate::Dual<T>> : selgate::detail::WrappedLimits<selgate::Dual<T>, T> {
};
template <class T>
struct Eigen::NumTraits<selgate::Dual<T>> : selgate::detail::WrappedNumTraits<selgate::Dual<T>, T> {
};
