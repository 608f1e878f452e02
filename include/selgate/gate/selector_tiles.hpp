// SPDX-License-Identifier: MIT
#pragma once

#include <selgate/gate/head.hpp>
#include <selgate/math/kernel/gather.hpp>
#include <selgate/math/smooth_step.hpp>
#include <selgate/math/softmax.hpp>

#include <algorithm>
#include <concepts>
#include <vector>

namespace selgate {

/// What the logits of DSelect-k columns mean: the mix of k selectors and their k m bits, in tiles
/// of columns, a column a lane (kernel/lanes.hpp). A scalar without packs has tiles of one column.
/// Where there is room for several and one comes alone, it is kept as scalars.
template <class S>
class SelectorTiles {
 public:
  using Element = typename kernel::Lanes<S>::Element;
  using Bit = SmoothStep<Element>;
  static constexpr Index lanes = kernel::Lanes<S>::count;
  struct Tile {
    Index first, count;  // columns first .. first + count - 1 in the first lanes
    [[nodiscard]] Index index() const { return first / lanes; }
    /// One column where there is room for several; the last of a batch.
    [[nodiscard]] bool is_single() const { return count == 1 && lanes > 1; }
  };

  SelectorTiles() = default;
  SelectorTiles(Index k, Index num_bits, Index max_columns) : k_(k), all_bits_(k * num_bits) {
    const auto tiles = static_cast<std::size_t>((max_columns + lanes - 1) / lanes);
    mix_.resize(tiles * static_cast<std::size_t>(k));
    bits_.resize(tiles * static_cast<std::size_t>(all_bits_));
    logits_.resize(static_cast<std::size_t>(k + all_bits_));
    column_.mix.resize(static_cast<std::size_t>(k));
    column_.bits.resize(static_cast<std::size_t>(all_bits_));
    single_ = column_;
  }

  template <class Body>
  static void for_each_tile(Index columns, const Body& body) {
    for (Index first = 0; first < columns; first += lanes) {
      body(Tile{first, std::min(lanes, columns - first)});
    }
  }

  /// softmax(alpha): k elements. Not of a single column, nor its bits.
  [[nodiscard]] Element* mix(const Tile& tile) { return mix_.data() + tile.index() * k_; }
  [[nodiscard]] const Element* mix(const Tile& tile) const {
    return mix_.data() + tile.index() * k_;
  }
  /// k m of them, those of selector 0 first.
  [[nodiscard]] Bit* bits(const Tile& tile) { return bits_.data() + tile.index() * all_bits_; }
  [[nodiscard]] const Bit* bits(const Tile& tile) const {
    return bits_.data() + tile.index() * all_bits_;
  }

  /// From the tile's columns of logits; step(z) is a bit. Throws numeric_error where alpha has no
  /// softmax, or a bit is NaN.
  template <class Step>
  void set(const Tile& tile, const In<S>& logits, const Step& step) {
    bool refused = false;
    if (tile.is_single()) {
      refused = set(logits.data(), step, single_.mix.data(), single_.bits.data());
    } else {
      kernel::gather<S>(logits, logits_.data());
      refused = set(logits_.data(), step, mix(tile), bits(tile));
    }
    if (refused) refuse(tile, logits);
  }

  /// One column's mix and bits.
  struct Column {
    std::vector<S> mix;
    std::vector<SmoothStep<S>> bits;
  };
  /// The column of a single tile.
  [[nodiscard]] const Column& single() const { return single_; }
  /// Good until the next one is read.
  const Column& read(const Tile& tile, Index lane) {
    if (tile.is_single()) return single_;
    for (Index i = 0; i < k_; ++i) {
      column_.mix[static_cast<std::size_t>(i)] = read_mix(tile, lane, i);
    }
    read_bits(tile, lane, 0, all_bits_, column_.bits.data());
    return column_;
  }
  [[nodiscard]] S read_mix(const Tile& tile, Index lane, Index i) const {
    return tile.is_single() ? single_.mix[static_cast<std::size_t>(i)]
                            : kernel::get_lane(mix(tile)[i], lane);
  }
  /// `count` of a column's bits, from `first` on.
  void read_bits(const Tile& tile, Index lane, Index first, Index count, SmoothStep<S>* to) const {
    if (tile.is_single()) {
      std::copy_n(single_.bits.data() + first, count, to);
      return;
    }
    for (const Bit* bit = bits(tile) + first; count > 0; ++bit, --count) {
      *to++ = {kernel::get_lane(bit->v, lane), kernel::get_lane(bit->w, lane)};
    }
  }

  /// What was computed for one column, into its lane.
  static void set_lane(const std::vector<S>& column, Index lane, std::vector<Element>& tile) {
    for (std::size_t i = 0; i < column.size(); ++i) kernel::set_lane(tile[i], lane, column[i]);
  }

  /// dlogits += the derivative by the tile's logits, from dot_i = d / d a_i and ds_ij = d / d s_ij:
  /// elements, or one column's scalars where the tile is single. Changes dot.
  template <class E>
  void add_gradient(const Tile& tile, const S& gamma, E* dot, const E* ds, Out<S> dlogits) {
    if constexpr (std::same_as<E, Element>) {
      kernel::gather<S>(dlogits, logits_.data());
      add_gradient(mix(tile), bits(tile), gamma, dot, ds, logits_.data());
      kernel::scatter<S>(logits_.data(), dlogits);
    } else {
      add_gradient(single_.mix.data(), single_.bits.data(), gamma, dot, ds, dlogits.data());
    }
  }

 private:
  template <class E>
  void add_gradient(const E* mix, const SmoothStep<E>* bits, const S& gamma, E* dot, const E* ds,
                    E* d) const {
    E mean{};
    for (Index i = 0; i < k_; ++i) mean += dot[i] *= mix[i];
    for (Index i = 0; i < k_; ++i) d[i] += dot[i] - mix[i] * mean;
    for (Index b = 0; b < all_bits_; ++b) d[k_ + b] += bits[b].slope(gamma) * ds[b];
  }
  /// Returns whether there is something to refuse.
  template <class E, class Step>
  bool set(const E* z, const Step& step, E* mix, SmoothStep<E>* bits) const {
    E top = z[0], sum{};
    for (Index i = 1; i < k_; ++i) top = z[i] > top ? z[i] : top;
    for (Index i = 0; i < k_; ++i) sum += mix[i] = exp(E(z[i] - top));
    for (Index i = 0; i < k_; ++i) mix[i] = mix[i] / sum;
    bool refused = kernel::any(sum != sum);
    for (Index b = 0; b < all_bits_; ++b) {
      bits[b] = step(z[k_ + b]);
      refused |= kernel::any(bits[b].v != bits[b].v);
    }
    return refused;
  }
  void refuse(const Tile& tile, const In<S>& logits) const {
    constexpr const char* name = "DSelect-k gate";
    const auto is_number = [](const S& value) { return value == value; };
    Vector<S> mix(k_);
    for (Index lane = 0; lane < tile.count; ++lane) {
      const S* z = logits.col(lane).data();
      const Index column = tile.first + lane;
      if (!softmax(z, k_, mix.data())) detail::throw_bad_softmax(name, z, k_, column);
      if (std::all_of(z, z + logits.rows(), is_number)) continue;
      detail::throw_bad_logit(name, z, logits.rows(), column, is_number, "a number");
    }
  }

  Index k_ = 0, all_bits_ = 0;
  std::vector<Element> mix_;
  std::vector<Bit> bits_;
  std::vector<Element> logits_;  // scratch of one tile
  Column column_;                // scratch of read
  Column single_;                // of the tile that is single
};

}  // namespace selgate
