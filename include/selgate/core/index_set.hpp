// SPDX-License-Identifier: MIT
#pragma once

#include <selgate/core/types.hpp>

#include <vector>

namespace selgate {

/// All of 0..universe-1, or a list of distinct members. Says which blocks of a gradient a pass
/// touched, so that zeroing and stepping cost nothing for the others. No allocation after
/// construction; insert and contains are O(1).
class IndexSet {
 public:
  IndexSet() = default;
  explicit IndexSet(Index universe)
      : universe_(universe), member_(static_cast<std::size_t>(universe), 0) {
    list_.reserve(member_.size());
  }

  [[nodiscard]] Index universe() const { return universe_; }
  [[nodiscard]] Index size() const { return static_cast<Index>(list_.size()); }
  [[nodiscard]] bool contains(Index i) const { return member_[static_cast<std::size_t>(i)] != 0; }
  /// The members in the order in which they came.
  [[nodiscard]] auto begin() const { return list_.begin(); }
  [[nodiscard]] auto end() const { return list_.end(); }

  void insert(Index i) {
    char& member = member_[static_cast<std::size_t>(i)];
    if (member == 0) {
      member = 1;
      list_.push_back(i);
    }
  }
  void clear() {
    for (Index i : list_) member_[static_cast<std::size_t>(i)] = 0;
    list_.clear();
  }

 private:
  Index universe_ = 0;
  std::vector<char> member_;
  std::vector<Index> list_;
};

}  // namespace selgate
