// SPDX-License-Identifier: MIT
#pragma once

#include <selgate/core/non_zeros.hpp>

#include <algorithm>
#include <cstdint>
#include <span>
#include <vector>

namespace selgate {

/// Sparse gate weights: per column the (expert, weight) entries, experts unique and ascending, all
/// columns one after another (compressed sparse columns). Grows geometrically to the largest pass.
template <class S>
class Routing {
 public:
  [[nodiscard]] Index num_columns() const { return static_cast<Index>(begin_.size()) - 1; }
  [[nodiscard]] Index num_entries() const { return static_cast<Index>(experts_.size()); }
  /// Entries of column c are first(c) .. first(c + 1) - 1.
  [[nodiscard]] Index first(Index c) const { return begin_[static_cast<std::size_t>(c)]; }

  [[nodiscard]] std::span<const std::int32_t> experts() const { return experts_; }
  [[nodiscard]] std::span<const S> weights() const { return weights_; }
  [[nodiscard]] std::span<S> weights() { return weights_; }
  [[nodiscard]] std::span<const std::int32_t> experts(Index c) const {
    return column(experts(), c);
  }
  [[nodiscard]] std::span<const S> weights(Index c) const { return column(weights(), c); }
  [[nodiscard]] std::span<S> weights(Index c) { return column(weights(), c); }

  /// Whether each column has the experts that it has there.
  [[nodiscard]] bool same_entries(const Routing& other) const {
    return begin_ == other.begin_ && experts_ == other.experts_;
  }

  void clear() {
    begin_.resize(1);
    experts_.clear();
    weights_.clear();
  }
  void push(Index expert, S weight) {
    experts_.push_back(static_cast<std::int32_t>(expert));
    weights_.push_back(weight);
  }
  void push_non_zeros(const S* weights, Index n) {
    for_each_non_zero(weights, n, [&](Index e) { push(e, weights[e]); });
  }
  void end_column() { begin_.push_back(num_entries()); }

  /// The entries of another routing with weight 0.
  void zero_like(const Routing& other) {
    begin_.resize(other.begin_.size());  // assignment would not grow geometrically
    experts_.resize(other.experts_.size());
    weights_.resize(other.weights_.size());
    std::copy(other.begin_.begin(), other.begin_.end(), begin_.begin());
    std::copy(other.experts_.begin(), other.experts_.end(), experts_.begin());
    std::fill(weights_.begin(), weights_.end(), S(0));
  }

 private:
  template <class T>
  std::span<T> column(std::span<T> all, Index c) const {
    return all.subspan(static_cast<std::size_t>(first(c)),
                       static_cast<std::size_t>(first(c + 1) - first(c)));
  }

  std::vector<Index> begin_ = {0};
  std::vector<std::int32_t> experts_;
  std::vector<S> weights_;
};

/// A column's values by expert, 0 for one without, for experts of the column that ascend: most of
/// them follow one another.
template <class S>
struct AscendingExperts {
  std::span<const std::int32_t> experts;
  std::span<const S> values;
  std::size_t next = 0;
  S zero{};

  const S& operator[](Index expert) {
    if (next == experts.size() || experts[next] != expert) {
      const auto found = std::lower_bound(experts.begin(), experts.end(), expert);
      next = static_cast<std::size_t>(found - experts.begin());
      if (found == experts.end() || *found != expert) return zero;
    }
    return values[next++];
  }
};

/// One column's entries in any order, repetitions included, on their way into a Routing.
template <class S>
class EntryList {
 public:
  void clear() { entries_.clear(); }
  void add(Index expert, S weight) {
    entries_.push_back({expert, static_cast<Index>(entries_.size()), weight});
  }
  /// Adds up the entries of each expert in the order in which they came, and pushes the sums; one
  /// that underflowed is raised to `smallest`.
  void push_sums(Routing<S>& routing, S smallest) {
    std::sort(entries_.begin(), entries_.end(), [](const Entry& a, const Entry& b) {
      return a.expert != b.expert ? a.expert < b.expert : a.order < b.order;
    });
    for (std::size_t at = 0; at < entries_.size();) {
      const Index expert = entries_[at].expert;
      S sum(0);
      for (; at < entries_.size() && entries_[at].expert == expert; ++at)
        sum += entries_[at].weight;
      routing.push(expert, sum < smallest ? smallest : sum);
    }
  }

 private:
  struct Entry {
    Index expert, order;
    S weight;
  };
  std::vector<Entry> entries_;
};

}  // namespace selgate
