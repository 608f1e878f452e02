// SPDX-License-Identifier: MIT
#pragma once

#include <selgate/math/kernel/gather.hpp>

#include <algorithm>
#include <cstdint>
#include <type_traits>
#include <vector>

namespace selgate::kernel {

/// The k largest of as many columns as lanes at once, without a branch: no processor can predict
/// which of a few dozen numbers are kept, and column by column its mistakes cost most of the time.
template <class S>
class TopKTile {
 public:
  static constexpr Index columns = Lanes<S>::count;
  /// In longer columns most numbers are too small, which a processor does predict.
  static constexpr Index max_rows = 512;

  TopKTile() = default;
  explicit TopKTile(Index k) : value_(size(k)), place_(size(k)) {}

  /// kept(0..k-1, c) is what top_k (math/top_k.hpp) writes for column c of z, which has `columns`.
  /// k < rows of z. Returns false if there is a NaN.
  bool select(const In<S>& z, std::int32_t* kept) {
    const Index k = static_cast<Index>(value_.size());
    Place nan{};
    E rows[block];
    for (Index begin = 0; begin < z.rows(); begin += block) {
      const Index count = std::min(block, z.rows() - begin);
      gather<S>(z.middleRows(begin, count), rows);
      for (Index i = 0; i < count; ++i) {
        nan |= rows[i] != rows[i];
        insert(rows[i], begin + i, std::min(begin + i, k));
      }
    }
    sort_by_place();
    for (Index c = 0; c < columns; ++c) {
      for (const Place& place : place_) *kept++ = static_cast<std::int32_t>(place[c]);
    }
    return !any(nan);
  }

 private:
  using E = typename Lanes<S>::Element;
  /// Integers as wide as S, one in each lane.
  using Place = std::conditional_t<is_pack<E>, decltype(E{} < E{}), std::int32_t>;

  static std::size_t size(Index n) { return static_cast<std::size_t>(n); }
  static constexpr Index block = 64;

  /// Exchanges two entries in the lanes where the condition holds.
  static void exchange(const Place& where, E& value, Place& place, E& other, Place& other_place) {
    const E v = value;
    const Place p = place;
    value = where ? other : v;
    place = where ? other_place : p;
    other = where ? v : other;
    other_place = where ? p : other_place;
  }

  /// Row e goes before the first of `filled` entries that it exceeds, and those from there on move.
  void insert(E row, Index e, Index filled) {
    using Number = std::remove_cvref_t<decltype(std::declval<Place>()[0])>;
    Place at = Place{} + static_cast<Number>(e), moves{};
    for (std::size_t j = 0; j < size(filled); ++j) {
      moves |= row > value_[j];
      exchange(moves, row, at, value_[j], place_[j]);
    }
    if (size(filled) < value_.size()) {
      value_[size(filled)] = row;
      place_[size(filled)] = at;
    }
  }

  void sort_by_place() {
    for (std::size_t i = 1; i < place_.size(); ++i) {
      for (std::size_t j = i; j > 0; --j) {
        exchange(place_[j - 1] > place_[j], value_[j - 1], place_[j - 1], value_[j], place_[j]);
      }
    }
  }

  std::vector<E> value_;      // the k largest so far, in order
  std::vector<Place> place_;  // their rows
};

}  // namespace selgate::kernel
