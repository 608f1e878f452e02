// SPDX-License-Identifier: MIT
#pragma once

#include <selgate/gate/dselect_k_options.hpp>
#include <selgate/gate/expert_selectors.hpp>
#include <selgate/gate/head.hpp>
#include <selgate/gate/selector_regularizer.hpp>
#include <selgate/gate/selector_tiles.hpp>
#include <selgate/math/kernel/gather.hpp>

#include <algorithm>
#include <vector>

namespace selgate {

/// DSelect-k (Hazimeh et al., 2021): k single-expert selectors r(s_i), s_i = S(z_i), mixed by a
/// softmax (eq. (5); per example eq. (6)),
///
///   w_e = sum over i of a_i r_e(s_i),      a = softmax(alpha).
///
/// The k + k m logits of a column are alpha, then the m bits of selector 0, of selector 1, ...
///
/// Backward, with u = dw read at the codes of selector i (0 where a code has no expert):
///   dot_i = <r(s_i), u>,   dalpha += a .* (dot - <a, dot>),
///   dz_ij += S'(z_ij) d(a_i dot_i + scale (lambda H_i + xi / mass_i)) / ds_ij.
/// An exactly binary bit has S' = 0: it is frozen for this column, and nothing outside the support
/// is ever read. Support is the set of codes compatible with the binary bits of some selector.
///
/// Cost per column: O(k (m + 2^f)), f fractional bits a selector, plus writing n zeros where the
/// storage is dense (up to 256 codes: O(k 2^m)). Regularizers cost O(k m), whatever n.
///
/// Columns go in tiles, an example a lane; where weights are dense and codes few, to the very end:
/// 2^m products of packs cost less than to look at each column's bits. Otherwise a tile is left for
/// its single columns between the bits and their derivatives.
///
/// Differs from the TensorFlow layer: least significant bit first, as in the paper (imported
/// weights: reverse_bit_order); regularizers are a mean over the batch, not a sum; exact entropy
/// without an epsilon; xi is an option; 1/mass is floored at mass 1e-6, finite even on a code
/// without expert.
template <class S>
class DSelectKHead {
 public:
  using Scalar = S;
  using Options = DSelectKOptions;
  using Gradient = Empty;
  static constexpr bool has_few_logits = true;  // O(k log n): a linear map adds in a fixed order
  using Tiles = SelectorTiles<S>;
  using Tile = typename Tiles::Tile;
  using Column = typename Tiles::Column;
  using Element = typename Tiles::Element;
  struct Cache {
    HeadDoor door;
    Tiles tiles;
    ExpertSelectors::Scratch<Element> tile_scratch;
    ExpertSelectors::Scratch<S> column_scratch;
    std::vector<Element> weights, dweights;  // of a tile: n each
    std::vector<S> routed;                   // n
    EntryList<S> entries;
  };

  /// Throws config_error for values outside the ranges beside the options.
  explicit DSelectKHead(const DSelectKOptions& options)
      : options_(detail::checked(options)),
        selectors_({options.num_experts, options.spare_codes, options.spare_seed}, options.k) {
    set_gamma(options.gamma);
  }

  [[nodiscard]] const Options& options() const { return options_; }
  [[nodiscard]] Index num_experts() const { return options_.num_experts; }
  [[nodiscard]] Index k() const { return options_.k; }
  /// m = ceil(log2 n).
  [[nodiscard]] int num_bits() const { return codes().num_bits(); }
  [[nodiscard]] const CodeBook& codes() const { return selectors_.codes(); }
  [[nodiscard]] Index num_logits() const { return k() + k() * num_bits(); }
  [[nodiscard]] bool sums_to_one() const { return !codes().loses_mass(); }
  [[nodiscard]] RowGroups row_groups() const {
    const double codes = options_.code_range * options_.gamma, mix = options_.mix_range;
    return {{0, {k()}, "alpha", "G", "G_bias", mix, mix, mix},
            {k(), {k(), num_bits()}, "Z", "W", "W_bias", codes, codes, codes}};
  }

  /// The width of the smooth-step, for schedules. Throws config_error unless finite and > 0.
  void set_gamma(double gamma) {
    detail::require_positive("DSelect-k gate: gamma", gamma, S(gamma) > S(0));
    options_.gamma = gamma;
  }
  /// The limit gamma -> 0: every bit is 1 where z > 0, else 0, so that an example selects at most k
  /// experts; the bits no longer train, the mix does. `false`: back.
  void harden(bool hardened = true) { hardened_ = hardened; }
  [[nodiscard]] bool hardened() const { return hardened_; }

  /// Bit j of selector i from one logits column.
  [[nodiscard]] SmoothStep<S> bit(const S* logits, Index i, int j) const {
    return step(logits[k() + i * num_bits() + j]);
  }
  Cache make_cache(Index max_columns) const {
    const auto n = static_cast<std::size_t>(num_experts());
    return {.door = {*this, max_columns},
            .tiles = Tiles(k(), num_bits(), max_columns),
            .tile_scratch = selectors_.template make_scratch<Element>(has_few_codes()),
            .column_scratch = selectors_.template make_scratch<S>(true),
            .weights = std::vector<Element>(has_few_codes() ? n : 0),
            .dweights = std::vector<Element>(has_few_codes() ? n : 0),
            .routed = std::vector<S>(n),
            .entries = {}};
  }
  Gradient make_gradient() const { return {}; }

  void forward(const Context&, const In<S>& logits, GateOutput<S>& weights, Cache& cache) const {
    cache.door.begin_forward(*this, "DSelect-k gate", logits, weights);
    Tiles::for_each_tile(logits.cols(), [&](const Tile& tile) {
      cache.tiles.set(tile, logits.middleCols(tile.first, tile.count),
                      [this](const auto& z) { return this->step(z); });
      if (at_once(tile, cache)) {
        return add_up(tile, cache, weights.dense().middleCols(tile.first, tile.count));
      }
      for (Index lane = 0; lane < tile.count; ++lane) {
        const Column& column = cache.tiles.read(tile, lane);
        if (is_dense(cache)) {
          add_up(column, cache, weights.dense().col(tile.first + lane).data());
        } else {
          route(column, cache, weights.routing());
        }
      }
    });
    cache.door.end_forward(logits.cols());
  }

  void backward(const Context& context, const In<S>& logits, const GateOutput<S>& weights,
                const GateOutput<S>& dweights, double scale, Out<S> dlogits, Gradient&,
                Cache& cache) const {
    cache.door.begin_backward(*this, "DSelect-k gate", logits, weights, dweights, dlogits);
    const SelectorRegularizer regularizer = regularizer_of(context);
    Tiles::for_each_tile(logits.cols(), [&](const Tile& tile) {
      auto finish = [&](const auto* bits, auto& scratch) {
        auto *dot = scratch.dot.data(), *ds = scratch.ds.data();
        if (context.training()) {
          regularizer.add_gradient(num_experts(), bits, num_bits(), scale, ds, k());
        }
        cache.tiles.add_gradient(tile, S(options_.gamma), dot, ds,
                                 dlogits.middleCols(tile.first, tile.count));
      };
      if (at_once(tile, cache)) {
        contract(tile, weights.dense().middleCols(tile.first, tile.count),
                 dweights.dense().middleCols(tile.first, tile.count), cache);
        return finish(cache.tiles.bits(tile), cache.tile_scratch);
      }
      for (Index lane = 0; lane < tile.count; ++lane) {
        const Column& column = cache.tiles.read(tile, lane);
        contract(column, weights, dweights, tile.first + lane, cache);
        if (tile.is_single()) return finish(column.bits.data(), cache.column_scratch);
        Tiles::set_lane(cache.column_scratch.dot, lane, cache.tile_scratch.dot);
        Tiles::set_lane(cache.column_scratch.ds, lane, cache.tile_scratch.ds);
      }
      finish(cache.tiles.bits(tile), cache.tile_scratch);
    });
  }

  /// scale * sum over columns and selectors of (lambda H + xi / max(mass, 1e-6)); 0 outside
  /// training.
  accumulate_t<S> regularization(const Context& context, double scale, const Cache& cache) const {
    accumulate_t<S> sum(0);
    if (!context.training()) return sum;
    cache.door.require_room(*this, "DSelect-k gate", cache.door.columns());
    const SelectorRegularizer regularizer = regularizer_of(context);
    Tiles::for_each_tile(cache.door.columns(), [&](const Tile& tile) {
      auto add = [&](const auto* bits) {
        const auto value = regularizer.value(num_experts(), bits, num_bits(), k());
        for (Index lane = 0; lane < tile.count; ++lane) {
          sum += accumulate_t<S>(kernel::get_lane(value, lane));
        }
      };
      tile.is_single() ? add(cache.tiles.single().bits.data()) : add(cache.tiles.bits(tile));
    });
    return accumulate_t<S>(scale) * sum;
  }

  [[nodiscard]] Flops flops(Index columns, const Cache& cache) const {
    cache.door.require_room(*this, "DSelect-k gate", columns);
    const std::int64_t selectors = k() * columns, m = num_bits();
    Flops sum{.forward = selectors * (4 + (hardened_ ? 0 : 3 * m)),
              .backward = selectors * (5 + 5 * m)};
    PerBit<SmoothStep<S>> bits;
    Tiles::for_each_tile(columns, [&](const Tile& tile) {
      for (Index lane = 0; lane < tile.count; ++lane) {
        bool first = true;
        for (Index i = 0; i < k(); ++i) {
          if (cache.tiles.read_mix(tile, lane, i) == S(0)) continue;
          if (codes_of(cache) == Codes::support) {  // of all codes, the bits do not matter
            cache.tiles.read_bits(tile, lane, i * num_bits(), num_bits(), bits.data());
          }
          sum += selectors_.flops(codes_of(cache), bits.data(), first);
          first = false;
        }
      }
    });
    return sum;
  }

  template <class F, class... M>
  static void visit(F&&, M&...) {}
  template <class F>
  void visit_state(F&& f) const {
    f("gamma", options_.gamma, &DSelectKHead::set_gamma);
    f("hardened", hardened_, &DSelectKHead::harden);
    f("spare_seed", options_.spare_seed, &DSelectKHead::set_spare_seed);
  }

 private:
  using Codes = ExpertSelectors::Codes;

  void set_spare_seed(std::uint64_t seed) {
    options_.spare_seed = seed;
    selectors_ = {{num_experts(), options_.spare_codes, seed}, k()};
  }
  /// Up to 256 codes a tile takes all of them.
  [[nodiscard]] bool has_few_codes() const { return num_bits() <= detail::max_undivided; }
  /// Whether the last forward made dense weights.
  static bool is_dense(const Cache& cache) { return cache.door.storage() == Storage::dense; }
  [[nodiscard]] Codes codes_of(const Cache& cache) const {
    return is_dense(cache) && has_few_codes() ? Codes::all : Codes::support;
  }
  /// Whether a tile takes all its columns together: a few are faster one by one, to the same bits.
  [[nodiscard]] bool at_once(const Tile& tile, const Cache& cache) const {
    return codes_of(cache) == Codes::all && 8 * tile.count > Tiles::lanes && !tile.is_single();
  }
  template <class E>
  SmoothStep<E> step(const E& z) const {
    return hardened_ ? hard_step(z) : smooth_step(z, S(options_.gamma));
  }
  SelectorRegularizer regularizer_of(const Context& context) const {
    const double xi = codes().loses_mass() ? options_.penalty_weight * context.penalty_factor : 0;
    return {options_.entropy, options_.entropy_weight * context.entropy_factor, xi};
  }

  /// All n weights of a tile's columns, or of one column.
  void add_up(const Tile& tile, Cache& cache, Out<S> weights) const {
    Element* w = cache.weights.data();
    const bool underflow = selectors_.add_up(Codes::all, cache.tiles.mix(tile),
                                             cache.tiles.bits(tile), cache.tile_scratch, w);
    for (Index lane = 0; underflow && lane < tile.count; ++lane) {
      const auto& [mix, bits] = cache.tiles.read(tile, lane);
      selectors_.raise(mix.data(), bits.data(), lane, w);
    }
    kernel::scatter<S>(w, weights);
  }
  void add_up(const Column& column, Cache& cache, S* w) const {
    const auto& [mix, bits] = column;
    if (selectors_.add_up(codes_of(cache), mix.data(), bits.data(), cache.column_scratch, w)) {
      selectors_.raise(mix.data(), bits.data(), 0, w);
    }
  }
  /// The same weights, as entries. Few codes are sorted; where they are many against n, the column
  /// is added up densely: its own bits decide, nothing else. Both add the selectors in order.
  void route(const Column& column, Cache& cache, Routing<S>& routing) const {
    if (4 * selectors_.num_codes(column.mix.data(), column.bits.data()) > num_experts()) {
      add_up(column, cache, cache.routed.data());
      routing.push_non_zeros(cache.routed.data(), num_experts());
    } else {
      cache.entries.clear();
      selectors_.for_each_weight(Codes::support, column.mix.data(), column.bits.data(),
                                 cache.column_scratch,
                                 [&](Index e, const S& weight) { cache.entries.add(e, weight); });
      cache.entries.push_sums(routing, smallest_weight<S>());
    }
    routing.end_column();
  }

  /// Sets dot and ds of a tile, or of column c.
  void contract(const Tile& tile, const In<S>& weights, const In<S>& dweights, Cache& cache) const {
    Element *w = cache.weights.data(), *dw = cache.dweights.data();
    kernel::gather<S>(weights, w);
    kernel::gather<S>(dweights, dw);
    for (Index e = 0; e < num_experts(); ++e) dw[e] = w[e] == S(0) ? Element{} : dw[e];
    selectors_.backward(
        Codes::all, cache.tiles.mix(tile), cache.tiles.bits(tile),
        [dw]() -> const Element* { return dw; }, cache.tile_scratch);
  }
  void contract(const Column& column, const GateOutput<S>& weights, const GateOutput<S>& dweights,
                Index c, Cache& cache) const {
    auto run = [&](const auto& make_dw) {
      selectors_.backward(codes_of(cache), column.mix.data(), column.bits.data(), make_dw,
                          cache.column_scratch);
    };
    if (is_dense(cache)) {
      const S* dw = dweights.dense().col(c).data();
      if (codes_of(cache) == Codes::all) {
        const S* w = weights.dense().col(c).data();
        S* masked = cache.routed.data();
        for (Index e = 0; e < num_experts(); ++e) masked[e] = w[e] == S(0) ? S(0) : dw[e];
        dw = masked;
      }
      run([dw] { return dw; });
    } else {
      run([&] {
        return AscendingExperts<S>{weights.routing().experts(c), dweights.routing().weights(c)};
      });
    }
  }

  Options options_;
  ExpertSelectors selectors_;
  bool hardened_ = false;
};

}  // namespace selgate
