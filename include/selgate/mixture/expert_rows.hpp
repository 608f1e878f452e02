// SPDX-License-Identifier: MIT
#pragma once

#include <selgate/mixture/dispatch.hpp>

#include <algorithm>
#include <vector>

namespace selgate {

/// For each active expert so many rows of numbers, each of all the examples it sees side by side: a
/// matrix num_columns(rank) x rows. Its columns begin so far apart that whole tiles of examples may
/// be read and written. Grows geometrically to the largest pass.
template <class S, Index Tile>
class ExpertRows {
 public:
  /// For the first num_ranks experts.
  void layout(const Dispatch& dispatch, Index num_ranks, Index rows) {
    rows_ = rows;
    const Index last = std::max<Index>(1, num_ranks) - 1;
    const auto needed =
        static_cast<std::size_t>(begin(dispatch, last) + (dispatch.batch() + Tile) * rows);
    if (buffer_.size() >= needed) return;
    buffer_.resize(std::max(needed, buffer_.size() + buffer_.size() / 2));
  }
  /// Of experts that see as many examples, from a rank on.
  [[nodiscard]] View<S> run(const Dispatch& dispatch, Index rank, Index num_ranks) {
    const Index examples = dispatch.num_columns(rank);
    return {buffer_.data() + begin(dispatch, rank), examples, num_ranks * rows_,
            Eigen::OuterStride<>((examples + Tile - 1) / Tile * Tile)};
  }

 private:
  [[nodiscard]] Index begin(const Dispatch& dispatch, Index rank) const {
    return (dispatch.first(rank) + rank * Tile) * rows_;
  }

  Index rows_ = 0;
  std::vector<S> buffer_;
};

}  // namespace selgate
