// SPDX-License-Identifier: MIT
#pragma once

#include <selgate/core/executor.hpp>
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

/// Static gates over many experts of few units: an example a lane, as the units would not fill one.
template <class S>
struct ManySmallExperts {
  using L = kernel::Lanes<S>;
  using Element = typename L::Element;
  static constexpr Index max_rows = 512, max_task_rows = 64;  // of a tile on the stack

  const Terms<S>& terms;
  const ExpertBlocks<S>& outputs;
  Index units;

  [[nodiscard]] bool apply() const {
    return terms.is_static() && units < L::count && outputs.stacked_rows() <= max_rows;
  }
  /// body(first example, how many), as many as lanes.
  template <class Body>
  static void for_tiles(Index first, Index last, const Body& body) {
    for (Index b = first; b < last; b += L::count) body(b, std::min(L::count, last - b));
  }
  /// body(first task, how many) for tasks whose rows fit a tile.
  template <class Body>
  void for_task_blocks(const Body& body) const {
    const Index most = max_task_rows / units, num_tasks = terms.num_tasks();
    for (Index t = 0; t < num_tasks; t += most) body(t, std::min(most, num_tasks - t));
  }

  void combine(Index b, Out<S> y) const {
    Element f[max_rows], y_tile[max_task_rows];
    kernel::gather<S>(outputs.stacked(b, y.cols()), f);
    for_task_blocks([&](Index first, Index count) {
      std::fill_n(y_tile, count * units, Element{});
      for (Index t = 0; t < count; ++t) {
        for (const Term<S>& term : terms.column(first + t)) {
          for (Index r = 0; r < units; ++r) {
            y_tile[t * units + r] += f[term.place * units + r] * term.weight;
          }
        }
      }
      kernel::scatter<S>(y_tile, y.middleRows(first * units, count * units));
    });
  }

  /// dweights: one a term.
  void backward(Index b, const In<S>& dy, ExpertBlocks<S>& doutputs, Element* dweights) const {
    Element f[max_rows], df[max_rows], dy_tile[max_task_rows];
    kernel::gather<S>(outputs.stacked(b, dy.cols()), f);
    std::fill_n(df, outputs.stacked_rows(), Element{});
    for_task_blocks([&](Index first, Index count) {
      kernel::gather<S>(dy.middleRows(first * units, count * units), dy_tile);
      for (Index t = 0; t < count; ++t) {
        for (const Term<S>& term : terms.column(first + t)) {
          Element sum{};
          for (Index r = 0; r < units; ++r) {
            const Element& dy_r = dy_tile[t * units + r];
            df[term.place * units + r] += dy_r * term.weight;
            sum += dy_r * f[term.place * units + r];
          }
          *dweights++ += sum;
        }
      }
    });
    kernel::scatter<S>(df, doutputs.stacked(b, dy.cols()));
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
        return outputs.vector(base + term.place);
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
  // A static gate's terms are the same in every block of examples: each block has its own sums.
  const Index blocks = terms.is_static() ? detail::num_column_blocks(dy.cols()) : 0;
  auto* sums = terms.derivatives(blocks);
  const bool in_tiles = small.apply();
  if (!in_tiles) doutputs.set_zero();
  detail::for_column_blocks(context.executor, dy.cols(), [&](Index first, Index last) {
    auto* block = sums + (terms.is_static() ? first / detail::columns_per_block * terms.size() : 0);
    if (in_tiles) {
      small.for_tiles(first, last, [&](Index b, Index count) {
        small.backward(b, dy.middleCols(b, count), doutputs, block);
      });
      return;
    }
    for (Index b = first; b < last; ++b) {
      for (Index t = 0; t < terms.num_tasks(); ++t) {
        const S* dy_t = dy.col(b).data() + t * units;
        const Index c = terms.column_of(t, b);
        auto* sum = block + (terms.is_static() ? terms.first(c) : 0);
        for (const Term<S>& term : terms.column(c)) {
          const Index place = terms.base(b) + term.place;
          typename L::Element own{};
          detail::combine_one_backward<S>(term.weight, outputs.vector(place), dy_t, units,
                                          doutputs.vector(place), terms.is_static() ? *sum++ : own);
          if (!terms.is_static()) dweights.weight_ref(term.expert, c) = L::sum(own);
        }
      }
    }
  });
  if (!terms.is_static()) return;
  for (Index c = 0; c < terms.num_columns(); ++c) {
    Index at = terms.first(c);
    for (const Term<S>& term : terms.column(c)) {
      S sum = L::sum(sums[at]);
      for (Index i = 1; i < blocks; ++i) sum += L::sum(sums[i * terms.size() + at]);
      dweights.weight_ref(term.expert, c) = sum;
      ++at;
    }
  }
}

}  // namespace selgate
