// SPDX-License-Identifier: MIT
#pragma once

#include <selgate/gate/gate_output.hpp>

#include <algorithm>
#include <span>
#include <vector>

namespace selgate {

/// Which examples each expert must see: those in which ANY task gives it a non-zero weight. Experts
/// that none selects are not active and cost nothing. Experts are called by rank among the active.
class Dispatch {
 public:
  Dispatch() = default;
  explicit Dispatch(Index num_experts)
      : count_(static_cast<std::size_t>(num_experts)),
        rank_(static_cast<std::size_t>(num_experts)),
        seen_(static_cast<std::size_t>(num_experts)) {
    active_.reserve(count_.size());
    begin_.reserve(count_.size() + 1);
  }

  /// From the weights of num_tasks gates for a batch; static gates (one column a task) make their
  /// experts see every example.
  template <class S>
  void build(const GateOutput<S>& weights, Index num_tasks, Index batch, bool is_static) {
    batch_ = batch;
    std::fill(count_.begin(), count_.end(), 0);
    if (is_static) {
      auto select = [&](std::size_t e) { count_[e] = batch; };
      if (batch > 0) for_each_selected(weights, 0, num_tasks, select);
    } else {
      for (Index b = 0; b < batch; ++b) {
        for_each_selected(weights, b, num_tasks, [&](std::size_t e) { ++count_[e]; });
      }
    }
    active_.clear();
    begin_.assign(1, 0);
    whole_ = true;
    for (std::size_t e = 0; e < count_.size(); ++e) {
      if (count_[e] == 0) continue;
      rank_[e] = num_active();
      active_.push_back(static_cast<Index>(e));
      begin_.push_back(begin_.back() + count_[e]);
      whole_ = whole_ && count_[e] == batch;
    }
    if (whole_) return;
    columns_.resize(static_cast<std::size_t>(begin_.back()));
    for (std::size_t rank = 0; rank < active_.size(); ++rank) {
      // From here on: where to write.
      count_[static_cast<std::size_t>(active_[rank])] = begin_[rank];
    }
    for (Index b = 0; b < batch; ++b) {
      for_each_selected(weights, b, num_tasks, [&](std::size_t e) {
        columns_[static_cast<std::size_t>(count_[e]++)] = b;
      });
    }
  }

  [[nodiscard]] Index batch() const { return batch_; }
  [[nodiscard]] Index num_active() const { return static_cast<Index>(active_.size()); }
  [[nodiscard]] Index expert(Index rank) const { return active_[static_cast<std::size_t>(rank)]; }
  /// The rank of each expert; those of inactive ones mean nothing.
  [[nodiscard]] std::span<const Index> ranks() const { return rank_; }
  /// True where every active expert sees every example.
  [[nodiscard]] bool whole() const { return whole_; }
  [[nodiscard]] bool sees_all(Index rank) const { return num_columns(rank) == batch_; }
  [[nodiscard]] Index num_columns(Index rank) const { return first(rank + 1) - first(rank); }
  /// Sum of num_columns over the ranks before.
  [[nodiscard]] Index first(Index rank) const { return begin_[static_cast<std::size_t>(rank)]; }
  /// The examples an expert sees, ascending; empty means all of them.
  [[nodiscard]] std::span<const Index> columns(Index rank) const {
    if (sees_all(rank)) return {};
    return std::span(columns_).subspan(static_cast<std::size_t>(first(rank)),
                                       static_cast<std::size_t>(num_columns(rank)));
  }
  /// The example in column j of an expert.
  [[nodiscard]] Index example(Index rank, Index j) const {
    return sees_all(rank) ? j : columns_[static_cast<std::size_t>(first(rank) + j)];
  }

 private:
  /// body(e) once for each expert that any of the tasks' columns b T .. b T + T - 1 selects.
  template <class S, class Body>
  void for_each_selected(const GateOutput<S>& weights, Index b, Index num_tasks, const Body& body) {
    ++stamp_;
    std::size_t unseen = seen_.size();
    for (Index t = 0; t < num_tasks && unseen > 0; ++t) {
      weights.for_each_selected(b * num_tasks + t, [&](Index expert, const S&) {
        const auto e = static_cast<std::size_t>(expert);
        if (seen_[e] == stamp_) return;
        seen_[e] = stamp_;
        --unseen;
        body(e);
      });
    }
  }

  std::vector<Index> count_, rank_;  // per expert
  std::vector<std::uint64_t> seen_;  // per expert: the last stamp
  std::uint64_t stamp_ = 0;
  std::vector<Index> active_, begin_{0}, columns_;
  Index batch_ = 0;
  bool whole_ = true;
};

/// One block of rows x num_columns(rank) for each active expert, in one buffer. Where the dispatch
/// is whole they lie stacked, (num_active * rows) x batch: a column of all experts is contiguous.
/// Such columns are kept from lying a multiple of 1 KiB apart, where few lines of a cache would
/// have to hold a row of them: products that read them so took a sixth longer. Grows geometrically
/// to the largest pass.
template <class S>
class ExpertBlocks {
 public:
  void layout(const Dispatch& dispatch, Index rows) {
    rows_ = rows;
    num_stacked_ = dispatch.whole() ? dispatch.num_active() : 0;
    constexpr Index line = 64, apart = 1024, size = sizeof(S);  // bytes
    pad_ = num_stacked_ > 0 && stacked_rows() * size % apart == 0 ? line / size : 0;
    num_scalars_ = dispatch.first(dispatch.num_active()) * rows + dispatch.batch() * pad_;
    const auto needed = static_cast<std::size_t>(num_scalars_);
    if (buffer_.size() >= needed) return;
    buffer_.resize(std::max(needed, buffer_.size() + buffer_.size() / 2));
  }
  [[nodiscard]] View<S> block(const Dispatch& dispatch, Index rank) {
    return run(dispatch, rank, 1);
  }
  /// The blocks of consecutive ranks as one; more than one only for a whole dispatch.
  [[nodiscard]] View<S> run(const Dispatch& dispatch, Index rank, Index num_ranks) {
    if (!dispatch.whole()) {
      return {buffer_.data() + dispatch.first(rank) * rows_, rows_, dispatch.num_columns(rank),
              Eigen::OuterStride<>(rows_)};
    }
    return {buffer_.data() + rank * rows_, num_ranks * rows_, dispatch.batch(),
            Eigen::OuterStride<>(stacked_rows() + pad_)};
  }

  [[nodiscard]] Index rows() const { return rows_; }
  void set_zero() { std::fill_n(buffer_.begin(), num_scalars_, S(0)); }
  /// The output of one expert for an example, rows() long: `place` counts them as they lie.
  [[nodiscard]] S* vector(Index place, Index example) {
    return buffer_.data() + place * rows_ + example * pad_;
  }
  [[nodiscard]] const S* vector(Index place, Index example) const {
    return buffer_.data() + place * rows_ + example * pad_;
  }
  /// All active experts' outputs of examples first .. first + count - 1; for a whole dispatch.
  [[nodiscard]] View<S> stacked(Index first, Index count) {
    const Index rows = stacked_rows();
    return {vector(first * num_stacked_, first), rows, count, Eigen::OuterStride<>(rows + pad_)};
  }
  [[nodiscard]] View<const S> stacked(Index first, Index count) const {
    const Index rows = stacked_rows();
    return {vector(first * num_stacked_, first), rows, count, Eigen::OuterStride<>(rows + pad_)};
  }
  [[nodiscard]] Index stacked_rows() const { return num_stacked_ * rows_; }

 private:
  Index rows_ = 0, num_scalars_ = 0, num_stacked_ = 0;
  Index pad_ = 0;  // between the stacked columns of two examples
  std::vector<S> buffer_;
};

}  // namespace selgate
