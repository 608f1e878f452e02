// SPDX-License-Identifier: MIT
#pragma once

#include <selgate/mixture/dispatch.hpp>

#include <algorithm>
#include <cstdint>
#include <span>
#include <vector>

namespace selgate {

/// In which column the weights of T gates are: task t of example b in b T + t, or t for a static
/// bank.
struct TaskColumns {
  Index num_tasks = 1;
  bool is_static = false;
  [[nodiscard]] Index column(Index t, Index b) const { return is_static ? t : b * num_tasks + t; }
};

/// The weights of num_tasks gates as a mixture reads them.
template <class S>
struct TaskWeights {
  const GateOutput<S>& weights;
  Index num_tasks;
  bool is_static;
  [[nodiscard]] Index column(Index t, Index b) const {
    return TaskColumns{num_tasks, is_static}.column(t, b);
  }
};

/// A weight that is not 0, and where the expert's output for that example is in the blocks; for a
/// static gate, where it is among the outputs of any example.
template <class S>
struct Term {
  Index place;
  std::int32_t expert;
  S weight;
};

/// What a mixture adds up: the terms of each column of the weights, experts in ascending order.
/// Grows geometrically to the largest pass.
template <class S>
class Terms {
 public:
  void build(const TaskWeights<S>& w, const Dispatch& dispatch) {
    tasks_ = {w.num_tasks, w.is_static};
    num_active_ = dispatch.num_active();
    begin_.assign(1, 0);
    repeats_.clear();
    next_.resize(static_cast<std::size_t>(num_active_));  // assign would not grow geometrically
    std::fill(next_.begin(), next_.end(), 0);
    const Index columns = dispatch.batch() == 0 ? 0 : w.weights.num_columns();
    const std::span<const Index> ranks = dispatch.ranks();
    for (Index c = 0; c < columns; ++c) {
      const auto most = static_cast<std::size_t>(size() + w.weights.max_selected(c));
      if (terms_.size() < most) terms_.resize(most);
      Term<S>* to = terms_.data() + size();
      auto add = [&](const auto& place_at) {
        w.weights.for_each_selected(c, [&](Index expert, const S& weight) {
          const Index place = place_at(ranks[static_cast<std::size_t>(expert)]);
          *to++ = {place, static_cast<std::int32_t>(expert), weight};
        });
        begin_.push_back(to - terms_.data());
      };
      if (w.is_static) {
        add([](Index rank) { return rank; });
        repeats_.push_back(c > 0 && same_places(column(c - 1), column(c)));
      } else {
        add([&, b = c / num_tasks()](Index rank) { return place_of(dispatch, rank, b); });
      }
    }
  }

  [[nodiscard]] bool is_static() const { return tasks_.is_static; }
  [[nodiscard]] Index num_tasks() const { return tasks_.num_tasks; }
  [[nodiscard]] Index num_columns() const { return static_cast<Index>(begin_.size()) - 1; }
  [[nodiscard]] Index size() const { return begin_.back(); }

  /// Terms of column c are first(c) .. first(c + 1) - 1.
  [[nodiscard]] Index first(Index c) const { return begin_[static_cast<std::size_t>(c)]; }
  [[nodiscard]] std::span<const Term<S>> column(Index c) const {
    return std::span(terms_).subspan(static_cast<std::size_t>(first(c)),
                                     static_cast<std::size_t>(first(c + 1) - first(c)));
  }
  /// Whether column c has the same places as the one before, as neighbouring tasks often do. For
  /// static gates.
  [[nodiscard]] bool repeats(Index c) const { return repeats_[static_cast<std::size_t>(c)]; }
  /// The column of task t of example b, whose places count from base(b).
  [[nodiscard]] Index column_of(Index t, Index b) const { return tasks_.column(t, b); }
  [[nodiscard]] Index base(Index b) const { return is_static() ? b * num_active_ : 0; }

  /// Room for so many numbers a term; all 0.
  [[nodiscard]] S* derivatives(Index numbers) {
    derivatives_.resize(static_cast<std::size_t>(numbers * size()));
    std::fill(derivatives_.begin(), derivatives_.end(), S(0));
    return derivatives_.data();
  }

 private:
  bool same_places(std::span<const Term<S>> a, std::span<const Term<S>> b) const {
    if (a.size() != b.size()) return false;
    if (static_cast<Index>(a.size()) == num_active_) return true;
    return std::equal(a.begin(), a.end(), b.begin(), [](const Term<S>& one, const Term<S>& other) {
      return one.place == other.place;
    });
  }
  /// Of an expert that example b selects; not for static gates.
  Index place_of(const Dispatch& dispatch, Index rank, Index b) {
    if (dispatch.whole()) return b * num_active_ + rank;
    if (dispatch.sees_all(rank)) return dispatch.first(rank) + b;
    Index& at = next_[static_cast<std::size_t>(rank)];  // examples come in ascending order
    while (dispatch.columns(rank)[static_cast<std::size_t>(at)] != b) ++at;
    return dispatch.first(rank) + at;
  }

  TaskColumns tasks_;
  Index num_active_ = 0;
  std::vector<Term<S>> terms_;  // at least size()
  std::vector<Index> begin_ = {0};
  std::vector<bool> repeats_;  // per column
  std::vector<Index> next_;  // scratch of build: a cursor a rank
  std::vector<S> derivatives_;
};

}  // namespace selgate
