// SPDX-License-Identifier: MIT
#pragma once

#include <selgate/testing/scalar_traits.hpp>

#include <cmath>
#include <compare>
#include <cstdint>
#include <type_traits>

namespace selgate {

/// A double that counts: every + - * / and every exp, log, log1p, sqrt... is 1 operation, as in
/// core/flops.hpp; comparisons, copies, conversions, signs and rounding are 0. Each thread has a
/// counter of its own.
struct Counted {
  double value = 0;

  constexpr Counted() = default;
  template <class U>
    requires std::is_arithmetic_v<U>
  constexpr Counted(U x) : value(static_cast<double>(x)) {}
  template <class U>
    requires std::is_arithmetic_v<U>
  explicit constexpr operator U() const { return static_cast<U>(value); }

  /// Operations of this thread since its last reset.
  static std::int64_t count() { return counter_; }
  static void reset() { counter_ = 0; }

  Counted& operator+=(Counted b) { return *this = counted(value + b.value); }
  Counted& operator-=(Counted b) { return *this = counted(value - b.value); }
  Counted& operator*=(Counted b) { return *this = counted(value * b.value); }
  Counted& operator/=(Counted b) { return *this = counted(value / b.value); }
  friend Counted operator+(Counted a, Counted b) { return a += b; }
  friend Counted operator-(Counted a, Counted b) { return a -= b; }
  friend Counted operator*(Counted a, Counted b) { return a *= b; }
  friend Counted operator/(Counted a, Counted b) { return a /= b; }
  friend Counted operator-(Counted a) { return -a.value; }
  friend Counted operator+(Counted a) { return a; }

  friend bool operator==(Counted a, Counted b) { return a.value == b.value; }
  friend auto operator<=>(Counted a, Counted b) { return a.value <=> b.value; }

  friend Counted exp(Counted x) { return counted(std::exp(x.value)); }
  friend Counted expm1(Counted x) { return counted(std::expm1(x.value)); }
  friend Counted log(Counted x) { return counted(std::log(x.value)); }
  friend Counted log1p(Counted x) { return counted(std::log1p(x.value)); }
  friend Counted sqrt(Counted x) { return counted(std::sqrt(x.value)); }
  friend Counted tanh(Counted x) { return counted(std::tanh(x.value)); }
  friend Counted erf(Counted x) { return counted(std::erf(x.value)); }
  friend Counted erfc(Counted x) { return counted(std::erfc(x.value)); }
  friend Counted abs(Counted x) { return std::abs(x.value); }
  friend Counted floor(Counted x) { return std::floor(x.value); }
  friend Counted ceil(Counted x) { return std::ceil(x.value); }
  friend bool isfinite(Counted x) { return std::isfinite(x.value); }
  friend bool isinf(Counted x) { return std::isinf(x.value); }
  friend bool isnan(Counted x) { return std::isnan(x.value); }

 private:
  static Counted counted(double result) {
    ++counter_;
    return result;
  }
  static inline thread_local std::int64_t counter_ = 0;
};

}  // namespace selgate

template <>
struct std::numeric_limits<selgate::Counted>
    : selgate::detail::WrappedLimits<selgate::Counted, double> {};
template <>
struct Eigen::NumTraits<selgate::Counted>
    : selgate::detail::WrappedNumTraits<selgate::Counted, double> {};
