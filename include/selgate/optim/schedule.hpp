// SPDX-License-Identifier: MIT
#pragma once

#include <selgate/core/error.hpp>

#include <cmath>
#include <cstdint>

namespace selgate {

/// A number that changes over the steps of a training run: a learning rate, a temperature, the
/// weight of a regularizer. It goes from `from` to `to` while the step goes from `begin` to `end`,
/// and holds both ends: `from` up to begin, `to` at end and for ever after. Steps count from 0, as
/// Context::step does. So
///
///     Schedule::linear(0, 1, 100, 200)              is 0 until step 100, then grows to 1
///     Schedule::linear(0, 1, 100, 100)              is 0 before step 100, then 1
///     Schedule::exponential(1e-3, 1e-16, 0, 5000)   anneals, evenly spaced on a log scale
///
/// All throw config_error for numbers that are not finite, begin > end, and (exponential) an end
/// that is not > 0.
class Schedule {
 public:
  static Schedule constant(double value) { return {Curve::linear, value, value, 0, 0}; }
  static Schedule linear(double from, double to, std::uint64_t begin, std::uint64_t end) {
    return {Curve::linear, from, to, begin, end};
  }
  /// from^(1-f) * to^f at fraction f of the way.
  static Schedule exponential(double from, double to, std::uint64_t begin, std::uint64_t end) {
    require(from > 0, "Schedule: from", "> 0", from);
    require(to > 0, "Schedule: to", "> 0", to);
    return {Curve::exponential, from, to, begin, end};
  }

  double operator()(std::uint64_t step) const {
    if (step >= end_) return to_;
    if (step <= begin_) return from_;
    const double f = static_cast<double>(step - begin_) / static_cast<double>(end_ - begin_);
    return curve_ == Curve::linear ? std::lerp(from_, to_, f)
                                   : std::pow(from_, 1 - f) * std::pow(to_, f);
  }

 private:
  enum class Curve { linear, exponential };

  Schedule(Curve curve, double from, double to, std::uint64_t begin, std::uint64_t end)
      : curve_(curve), from_(from), to_(to), begin_(begin), end_(end) {
    require(std::isfinite(from), "Schedule: from", "a finite number", from);
    require(std::isfinite(to), "Schedule: to", "a finite number", to);
    require(begin <= end, "Schedule: begin", "<= end = " + to_text(end), begin);
  }

  Curve curve_;
  double from_, to_;
  std::uint64_t begin_, end_;
};

}  // namespace selgate
