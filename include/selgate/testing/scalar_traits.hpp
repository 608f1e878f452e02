// SPDX-License-Identifier: MIT
#pragma once

#include <Eigen/Core>

#include <limits>

namespace selgate::detail {

/// std::numeric_limits of a scalar S that wraps a T: the values of T, typed S.
template <class S, class T>
struct WrappedLimits : std::numeric_limits<T> {
  using Base = std::numeric_limits<T>;
  static constexpr S(min)() { return (Base::min)(); }
  static constexpr S(max)() { return (Base::max)(); }
  static constexpr S lowest() { return Base::lowest(); }
  static constexpr S epsilon() { return Base::epsilon(); }
  static constexpr S denorm_min() { return Base::denorm_min(); }
  static constexpr S infinity() { return Base::infinity(); }
  static constexpr S quiet_NaN() { return Base::quiet_NaN(); }
};

/// What Eigen asks of a scalar S that wraps a T.
template <class S, class T>
struct WrappedNumTraits : Eigen::GenericNumTraits<S> {
  using Real = S;
  using NonInteger = S;
  using Nested = S;
  enum {
    IsComplex = 0,
    IsInteger = 0,
    IsSigned = 1,
    RequireInitialization = 1,
    ReadCost = 2,
    AddCost = 2,
    MulCost = 4
  };
  static constexpr S dummy_precision() { return Eigen::NumTraits<T>::dummy_precision(); }
  static constexpr int digits10() { return Eigen::NumTraits<T>::digits10(); }
};

}  // namespace selgate::detail
