// SPDX-License-Identifier: MIT
#pragma once

#include <selgate/core/executor.hpp>
#include <selgate/math/kernel/lanes.hpp>
#include <selgate/mixture/terms.hpp>

#include <algorithm>
#include <span>
#include <type_traits>

namespace selgate {

namespace detail {

/// Columns that one block of work covers: fixed by shape, whatever the threads.
inline constexpr Index columns_per_block = 64;

inline Index num_column_blocks(Index columns) {
  return (columns + columns_per_block - 1) / columns_per_block;
}
template <class Body>
void for_column_blocks(Executor* executor, Index columns, const Body& body) {
  run_blocks(executor, num_column_blocks(columns), [&](Index block) {
    const Index first = block * columns_per_block;
    body(first, std::min(columns, first + columns_per_block));
  });
}

/// y = sum over the terms of weight * f(term), vectors of so many units.
template <class S, class Output>
void combine_one(std::span<const Term<S>> terms, const Output& f, Index units, S* y) {
  using L = kernel::Lanes<S>;
  Index r = 0;
  auto strips = [&]<int Width>(std::integral_constant<int, Width>) {
    for (; r + Width * L::count <= units; r += Width * L::count) {
      typename L::Element sum[Width] = {};
      for (const Term<S>& term : terms) {
        const S* from = f(term) + r;
        for (int i = 0; i < Width; ++i) sum[i] += L::load(from + i * L::count) * term.weight;
      }
      for (int i = 0; i < Width; ++i) L::store(sum[i], y + r + i * L::count);
    }
  };
  strips(std::integral_constant<int, 4>{});
  strips(std::integral_constant<int, 1>{});
  for (; r < units; ++r) {
    S sum(0);
    for (const Term<S>& term : terms) sum += f(term)[r] * term.weight;
    y[r] = sum;
  }
}

/// df += weight * dy, and dweight += <dy, f> over the lanes.
template <class S>
void combine_one_backward(const S& weight, const S* f, const S* dy, Index units, S* df,
                          typename kernel::Lanes<S>::Element& dweight) {
  using L = kernel::Lanes<S>;
  Index r = 0;
  for (; r + L::count <= units; r += L::count) {
    const auto dy_r = L::load(dy + r);
    L::store(L::load(df + r) + dy_r * weight, df + r);
    dweight += dy_r * L::load(f + r);
  }
  S rest(0);
  for (; r < units; ++r) {
    df[r] += dy[r] * weight;
    rest += dy[r] * f[r];
  }
  if (units % L::count != 0) kernel::set_lane(dweight, 0, kernel::get_lane(dweight, 0) + rest);
}

/// Static gates over experts of few units: examples in the lanes, as the units would not fill one.
/// A tile is of some packs of examples, so that a term is read once for all of them.
template <class S>
struct ManySmallExperts {
  using L = kernel::Lanes<S>;
  using Element = typename L::Element;
  static constexpr int packs = 4;
  static constexpr Index max_rows = 256, max_task_rows = 16;  // of a tile on the stack

  const Terms<S>& terms;
  const ExpertBlocks<S>& outputs;
  Index units;

  [[nodiscard]] bool apply() const {
    return terms.is_static() && units < L::count && outputs.stacked_rows() <= max_rows;
  }
  /// body(first example, how many) of each tile.
  template <class Body>
  static void for_tiles(Index first, Index last, const Body& body) {
    constexpr Index most = packs * L::count;
    for (Index b = first; b < last; b += most) body(b, std::min(most, last - b));
  }
  /// body(first task, how many) for tasks whose rows fit a tile.
  template <class Body>
  void for_task_blocks(const Body& body) const {
    const Index most = std::max<Index>(1, max_task_rows / units), num_tasks = terms.num_tasks();
    for (Index t = 0; t < num_tasks; t += most) body(t, std::min(most, num_tasks - t));
  }

  void combine(Index b, Out<S> y) const {
    Element f[packs * max_rows], y_tile[packs * max_task_rows];
    const Index rows = outputs.stacked_rows();
    kernel::gather_packs<S, packs>(outputs.stacked(b, y.cols()), rows, f);
    for_task_blocks([&](Index first, Index count) {
      const Index y_rows = count * units;
      for (Index t = 0; t < count; ++t) {
        for (Index r = 0; r < units; ++r) {
          Element sum[packs] = {};
          for (const Term<S>& term : terms.column(first + t)) {
            const Element* f_r = f + term.place * units + r;
#pragma GCC unroll 4
            for (int i = 0; i < packs; ++i) sum[i] += f_r[i * rows] * term.weight;
          }
#pragma GCC unroll 4
          for (int i = 0; i < packs; ++i) y_tile[i * y_rows + t * units + r] = sum[i];
        }
      }
      kernel::scatter_packs<S>(y_tile, y_rows, y.middleRows(first * units, y_rows));
    });
  }

  /// dweights: one a term.
  void backward(Index b, const In<S>& dy, ExpertBlocks<S>& doutputs, S* dweights) const {
    Element f[packs * max_rows], df[packs * max_rows], dy_tile[packs * max_task_rows];
    const Index rows = outputs.stacked_rows();
    kernel::gather_packs<S, packs>(outputs.stacked(b, dy.cols()), rows, f);
    std::fill_n(df, packs * rows, Element{});
    for_task_blocks([&](Index first, Index count) {
      const Index dy_rows = count * units;
      kernel::gather_packs<S, packs>(dy.middleRows(first * units, dy_rows), dy_rows, dy_tile);
      for (Index t = 0; t < count; ++t) {
        const auto column = terms.column(first + t);
        for (Index r = 0; r < units; ++r) {
          const Element* dy_r = dy_tile + t * units + r;
          S* dw = dweights + terms.first(first + t);
          std::size_t j = 0;
          for (; j + 16 <= column.size(); j += 16) {
            add_group<16>(column.subspan(j, 16), f + r, df + r, dy_r, dy_rows, dw + j);
          }
          for (; j < column.size(); j += 4) {
            const auto rest = column.subspan(j, std::min<std::size_t>(4, column.size() - j));
            add_group<4>(rest, f + r, df + r, dy_r, dy_rows, dw + j);
          }
        }
      }
    });
    kernel::scatter_packs<S>(df, rows, doutputs.stacked(b, dy.cols()));
  }

 private:
  /// Up to N terms, whose lanes are summed together.
  template <int N>
  void add_group(std::span<const Term<S>> column, const Element* f, Element* df, const Element* dy,
                 Index dy_rows, S* dweights) const {
    const Index rows = outputs.stacked_rows();
    Element dy_i[packs], sums[N];
    S totals[N];
#pragma GCC unroll 4
    for (int i = 0; i < packs; ++i) dy_i[i] = dy[i * dy_rows];
    std::size_t j = 0;
    for (; j < column.size(); ++j) {
      const Index at = column[j].place * units;
      const S weight = column[j].weight;
      Element sum{};
#pragma GCC unroll 4
      for (int i = 0; i < packs; ++i) {
        sum += dy_i[i] * f[i * rows + at];
        df[i * rows + at] += dy_i[i] * weight;
      }
      sums[j] = sum;
    }
    for (; j < N; ++j) sums[j] = Element{};
    kernel::sum_lanes<S>(sums, totals);
    for (j = 0; j < column.size(); ++j) dweights[j] += totals[j];
  }
};

}  // namespace detail

/// Y_t(:, b) = sum over active experts e of w_t(e, b) F_e(:, b), experts in ascending order.
/// y: (T u) x B, task t in rows t u .. t u + u - 1. Sets y; inactive experts are never read.
template <class S>
void combine(const Context& context, const Terms<S>& terms, const ExpertBlocks<S>& outputs,
             Out<S> y) {
  const Index units = outputs.rows();
  const detail::ManySmallExperts<S> small{terms, outputs, units};
  const bool in_tiles = small.apply();
  detail::for_column_blocks(context.executor, y.cols(), [&](Index first, Index last) {
    if (in_tiles) {
      small.for_tiles(first, last,
                      [&](Index b, Index count) { small.combine(b, y.middleCols(b, count)); });
      return;
    }
    for (Index b = first; b < last; ++b) {
      auto f = [&, base = terms.base(b)](const Term<S>& term) {
        return outputs.vector(base + term.place, b);
      };
      for (Index t = 0; t < terms.num_tasks(); ++t) {
        detail::combine_one<S>(terms.column(terms.column_of(t, b)), f, units,
                               y.col(b).data() + t * units);
      }
    }
  });
}

/// Backward of combine: sets dF_e(:, b) = sum_t w_t(e, b) dY_t(:, b) for the active experts, and in
/// the support alone dw_t(e, b) = <dY_t(:, b), F_e(:, b)> (a static gate: summed over b).
template <class S>
void combine_backward(const Context& context, Terms<S>& terms, const ExpertBlocks<S>& outputs,
                      const In<S>& dy, ExpertBlocks<S>& doutputs, GateOutput<S>& dweights) {
  using L = kernel::Lanes<S>;
  const Index units = outputs.rows();
  const detail::ManySmallExperts<S> small{terms, outputs, units};
  const bool in_tiles = small.apply();
  // A static gate's terms are the same in every block of examples: each block has its own sums, and
  // each sum its lanes.
  const Index blocks = terms.is_static() ? detail::num_column_blocks(dy.cols()) : 0;
  const Index lanes = in_tiles ? 1 : L::count;
  S* sums = terms.derivatives(blocks * lanes);
  const bool is_stacked = outputs.stacked_rows() != 0;  // zero a column when its turn comes
  if (!in_tiles && !is_stacked) doutputs.set_zero();
  detail::for_column_blocks(context.executor, dy.cols(), [&](Index first, Index last) {
    S* block = sums;
    if (terms.is_static()) block += first / detail::columns_per_block * terms.size() * lanes;
    if (in_tiles) {
      small.for_tiles(first, last, [&](Index b, Index count) {
        small.backward(b, dy.middleCols(b, count), doutputs, block);
      });
      return;
    }
    for (Index b = first; b < last; ++b) {
      if (is_stacked) doutputs.stacked(b, 1).setZero();
      for (Index t = 0; t < terms.num_tasks(); ++t) {
        const S* dy_t = dy.col(b).data() + t * units;
        const Index c = terms.column_of(t, b);
        S* sum = block + (terms.is_static() ? terms.first(c) * lanes : 0);
        for (const Term<S>& term : terms.column(c)) {
          const Index place = terms.base(b) + term.place;
          auto own = terms.is_static() ? L::load(sum) : typename L::Element{};
          detail::combine_one_backward<S>(term.weight, outputs.vector(place, b), dy_t, units,
                                          doutputs.vector(place, b), own);
          if (terms.is_static()) {
            L::store(own, sum);
            sum += lanes;
          } else {
            dweights.weight_ref(term.expert, c) = L::sum(own);
          }
        }
      }
    }
  });
  if (!terms.is_static()) return;
  const Index size = terms.size() * lanes;
  for (Index i = 1; i < blocks; ++i) {
    for (Index at = 0; at < size; ++at) sums[at] += sums[i * size + at];
  }
  for (Index c = 0; c < terms.num_columns(); ++c) {
    for (const Term<S>& term : terms.column(c)) {
      dweights.weight_ref(term.expert, c) = in_tiles ? *sums : L::sum(L::load(sums));
      sums += lanes;
    }
  }
}

}  // namespace selgate
