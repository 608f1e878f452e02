// SPDX-License-Identifier: MIT
#pragma once

#include <selgate/gate/gate_output.hpp>
#include <selgate/math/exp_log.hpp>

#include <algorithm>
#include <string>
#include <vector>

namespace selgate {

/// Which experts a gate uses, from the weights of any columns (examples, or tasks of a static
/// gate).
struct GateReport {
  Index columns = 0;
  double mean_support = 0;  // experts with non-zero weight
  Index max_support = 0;
  double min_sum = 1, max_sum = 1;  // of a column's weights: 1 on the simplex
  double mean_entropy = 0;          // of a column's weights, in nats
  std::vector<double> soft_share;   // per expert: mean weight
  std::vector<double> hard_share;   // per expert: share of the columns that select it
};

/// Report of every stride-th column from `first` on: task t of T gates is first = t, stride = T.
/// Throws config_error for first < 0 or stride < 1.
template <class S>
GateReport report(const GateOutput<S>& weights, Index first = 0, Index stride = 1) {
  require(first >= 0, "gate report: first", ">= 0", first);
  require(stride >= 1, "gate report: stride", ">= 1", stride);
  const auto n = static_cast<std::size_t>(weights.num_experts());
  GateReport r;
  r.soft_share.assign(n, 0);
  r.hard_share.assign(n, 0);
  for (Index c = first; c < weights.num_columns(); c += stride, ++r.columns) {
    Index support = 0;
    double sum = 0;
    auto count = [&](Index expert, S weight) {
      const auto w = static_cast<double>(weight);
      if (w == 0) return;
      ++support;
      sum += w;
      r.mean_entropy -= w * log(w);
      r.soft_share[static_cast<std::size_t>(expert)] += w;
      r.hard_share[static_cast<std::size_t>(expert)] += 1;
    };
    if (weights.storage() == Storage::dense) {
      for (Index e = 0; e < weights.num_experts(); ++e) count(e, weights.dense()(e, c));
    } else {
      const auto experts = weights.routing().experts(c);
      for (std::size_t i = 0; i < experts.size(); ++i)
        count(experts[i], weights.routing().weights(c)[i]);
    }
    r.mean_support += static_cast<double>(support);
    r.max_support = std::max(r.max_support, support);
    r.min_sum = r.columns == 0 ? sum : std::min(r.min_sum, sum);
    r.max_sum = r.columns == 0 ? sum : std::max(r.max_sum, sum);
  }
  if (r.columns == 0) return r;
  const auto columns = static_cast<double>(r.columns);
  r.mean_support /= columns;
  r.mean_entropy /= columns;
  for (double& share : r.soft_share) share /= columns;
  for (double& share : r.hard_share) share /= columns;
  return r;
}

namespace detail {

/// A number of moderate size as reports show it: three digits after the point.
inline std::string decimal(double value) {
  char buffer[32];
  const auto [end, code] =
      std::to_chars(buffer, buffer + sizeof buffer, value, std::chars_format::fixed, 3);
  return {buffer, code == std::errc{} ? end : buffer};
}

}  // namespace detail

/// The report in a few lines of text.
inline std::string describe(const GateReport& r) {
  using detail::decimal;
  std::string text =
      concat({to_text(r.columns), " columns: ", decimal(r.mean_support), " experts on average, ",
              to_text(r.max_support), " at most; weights sum to ", decimal(r.min_sum), "..",
              decimal(r.max_sum), "; entropy ", decimal(r.mean_entropy), "\n"});
  for (std::size_t e = 0; e < r.soft_share.size(); ++e) {
    text += concat({"  expert ", to_text(e), ": mean weight ", decimal(r.soft_share[e]),
                    ", selected by ", decimal(100 * r.hard_share[e]), " %\n"});
  }
  return text;
}

}  // namespace selgate
