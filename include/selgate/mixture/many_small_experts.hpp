// SPDX-License-Identifier: MIT
#pragma once

#include <selgate/math/kernel/gather.hpp>
#include <selgate/math/kernel/skinny_product.hpp>
#include <selgate/mixture/task_vectors.hpp>
#include <selgate/mixture/terms.hpp>

#include <algorithm>
#include <type_traits>

namespace selgate::detail {

/// Static gates over experts of few units: examples in the lanes, as the units would not fill one.
/// A tile is of some packs of examples, so that a term is read once for all of them, and
/// neighbouring tasks with the same experts read those together.
template <class S>
struct ManySmallExperts {
  using L = kernel::Lanes<S>;
  using Element = typename L::Element;
  static constexpr int packs = 4, tasks = kernel::pack_registers / 8;
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

  void combine(Index b, Index examples, const TaskVectors<S>& y) const {
    Element f[max_rows][packs], tile[max_task_rows][packs];
    kernel::gather_packs<S, packs>(outputs.stacked(b, examples), f);
    for_task_blocks([&](Index first, Index count) {
      for_groups(first, count, [&]<int T>(std::integral_constant<int, T>, Index t) {
        for (Index r = 0; r < units; ++r) combine_group<T>(first + t, f + r, tile + t * units + r);
      });
      if (side_by_side(y)) {
        for_packs(y, first, count, b, examples, [&](S* to, Index numbers, Index t, Index i) {
          L::store(tile[t][i], to, numbers);
        });
      } else {
        for_matrices(y, first, count, b, examples, [&](const View<S>& part, Index row) {
          kernel::scatter_packs<S, packs>(tile + row, part);
        });
      }
    });
  }

  /// Adds to dweights, one a term, unless that is null.
  void backward(Index b, Index examples, const TaskVectors<const S>& dy, ExpertBlocks<S>& doutputs,
                S* dweights) const {
    Element f[max_rows][packs], df[max_rows][packs], tile[max_task_rows][packs];
    const bool wants_dweights = dweights != nullptr;
    if (wants_dweights) kernel::gather_packs<S, packs>(outputs.stacked(b, examples), f);
    std::fill_n(df[0], packs * outputs.stacked_rows(), Element{});
    for_task_blocks([&](Index first, Index count) {
      if (side_by_side(dy)) {
        for_packs(dy, first, count, b, examples,
                  [&](const S* from, Index numbers, Index t, Index i) {
                    tile[t][i] = L::load(from, numbers);
                  });
      } else {
        for_matrices(dy, first, count, b, examples, [&](const View<const S>& part, Index row) {
          kernel::gather_packs<S, packs>(part, tile + row);
        });
      }
      for_groups(first, count, [&]<int T>(std::integral_constant<int, T>, Index t) {
        for (Index r = 0; r < units; ++r) {
          const Row* dy_r = tile + t * units + r;
          wants_dweights
              ? add_group<T>(first + t, f + r, df + r, dy_r, dweights + terms.first(first + t))
              : spread_group<T>(first + t, df + r, dy_r);
        }
      });
    });
    kernel::scatter_packs<S, packs>(df, doutputs.stacked(b, examples));
  }

  /// Whether dweights is the matrix f dy' itself, of all experts x all tasks: then experts go in
  /// the lanes, and no lanes are to be summed.
  [[nodiscard]] bool weight_gradient_is_product(const GateOutput<S>& dweights) const {
    return apply() && units == 1 && dweights.storage() == Storage::dense &&
           outputs.stacked_rows() >= L::count &&
           terms.size() == dweights.num_experts() * terms.num_tasks();
  }
  /// Then: dweights = f dy' of tasks first .. last - 1.
  void set_weight_gradient(Index first, Index last, const TaskVectors<const S>& dy,
                           GateOutput<S>& dweights) const {
    if constexpr (L::count > 1) {
      Out<S> dw = dweights.dense().middleCols(first, last - first);
      dw.setZero();
      kernel::skinny_weight_gradient<S>(outputs.stacked(0, dy.batch), dy.at(first, 0),
                                        dy.task_stride, dy.example_stride, dw);
    }
  }

 private:
  /// body(first task, how many) for tasks whose rows fit a tile.
  template <class Body>
  void for_task_blocks(const Body& body) const {
    const Index most = std::max<Index>(1, max_task_rows / units), num_tasks = terms.num_tasks();
    for (Index t = 0; t < num_tasks; t += most) body(t, std::min(most, num_tasks - t));
  }
  /// Whether a task's numbers lie so that packs of them need no gathering.
  template <class T>
  [[nodiscard]] bool side_by_side(const TaskVectors<T>& y) const {
    return units == 1 && y.example_stride == 1;
  }
  /// Then: body(where a pack begins, how many numbers there are of it, its row and place there).
  template <class T, class Body>
  static void for_packs(const TaskVectors<T>& y, Index first, Index count, Index b, Index examples,
                        const Body& body) {
    for (Index t = 0; t < count; ++t) {
      for (Index i = 0; i < packs; ++i) {
        const Index at = std::min(i * L::count, examples);
        body(y.at(first + t, b + at), std::min(L::count, examples - at), t, i);
      }
    }
  }
  /// Else: body(matrix, its first row in the tile) of all tasks, or of each.
  template <class T, class Body>
  void for_matrices(const TaskVectors<T>& y, Index first, Index count, Index b, Index examples,
                    const Body& body) const {
    const Index step = y.task_stride == units ? count : 1;
    for (Index t = 0; t < count; t += step) {
      body(View<T>(y.at(first + t, b), step * units, examples,
                   Eigen::OuterStride<>(y.example_stride)),
           t * units);
    }
  }

  /// body(T, first) for groups of T tasks that have the same experts; T = tasks or 1.
  template <class Body>
  void for_groups(Index first, Index count, const Body& body) const {
    for (Index t = 0; t < count;) {
      Index same = 1;
      while (same < tasks && t + same < count && terms.repeats(first + t + same)) ++same;
      if (same == tasks) {
        body(std::integral_constant<int, tasks>{}, t);
        t += tasks;
      } else {
        body(std::integral_constant<int, 1>{}, t++);
      }
    }
  }

  using Row = Element[packs];
  template <int T>
  [[gnu::always_inline]] void load_rows(const Row* from, Element (&to)[T][packs]) const {
#pragma GCC unroll 4
    for (int t = 0; t < T; ++t) {
#pragma GCC unroll 4
      for (int i = 0; i < packs; ++i) to[t][i] = from[t * units][i];
    }
  }
  /// Of the T tasks from column c on, one unit: y = sum of f times the weights.
  template <int T>
  void combine_group(Index c, const Row* f, Row* y) const {
    const auto column = terms.column(c);
    const auto size = static_cast<Index>(column.size());
    Element sum[T][packs];
#pragma GCC unroll 4
    for (int t = 0; t < T; ++t) {
#pragma GCC unroll 4
      for (int i = 0; i < packs; ++i) sum[t][i] = Element{};
    }
    const Term<S>* term = column.data();
    for (Index j = 0; j < size; ++j, ++term) {
      const Row& f_j = f[term->place * units];
#pragma GCC unroll 4
      for (int i = 0; i < packs; ++i) {
#pragma GCC unroll 4
        for (int t = 0; t < T; ++t) sum[t][i] += f_j[i] * term[t * size].weight;
      }
    }
#pragma GCC unroll 4
    for (int t = 0; t < T; ++t) {
#pragma GCC unroll 4
      for (int i = 0; i < packs; ++i) y[t * units][i] = sum[t][i];
    }
  }

  /// df += dy times the weights.
  template <int T>
  void spread_group(Index c, Row* df, const Row* dy) const {
    const auto column = terms.column(c);
    const auto size = static_cast<Index>(column.size());
    Element dy_tile[T][packs];
    load_rows(dy, dy_tile);
    const Term<S>* term = column.data();
    for (Index j = 0; j < size; ++j, ++term) {
      Row& df_j = df[term->place * units];
#pragma GCC unroll 4
      for (int i = 0; i < packs; ++i) {
        Element df_i = df_j[i];
#pragma GCC unroll 4
        for (int t = 0; t < T; ++t) df_i += dy_tile[t][i] * term[t * size].weight;
        df_j[i] = df_i;
      }
    }
  }
  /// df += dy times the weights, and dweights += <dy, f> over the lanes.
  template <int T>
  void add_group(Index c, const Row* f, Row* df, const Row* dy, S* dweights) const {
    const auto column = terms.column(c);
    const auto size = static_cast<Index>(column.size());
    Element dy_tile[T][packs];
    load_rows(dy, dy_tile);
    const Term<S>* term = column.data();
    Index j = 0;
    for (; j + 16 / T <= size; j += 16 / T) {
      add_terms<T, 16 / T>(term + j, size, 16 / T, f, df, dy_tile, dweights + j);
    }
    for (; j < size; j += 4) {
      const Index count = std::min<Index>(4, size - j);
      add_terms<T, 4>(term + j, size, count, f, df, dy_tile, dweights + j);
    }
  }
  /// Up to N terms of each task, `step` apart; the sums of their lanes are added together.
  template <int T, int N>
  void add_terms(const Term<S>* term, Index step, Index count, const Row* f, Row* df,
                 const Element (&dy)[T][packs], S* dweights) const {
    Element sums[T * N];
    S totals[T * N];
    for (Index j = 0; j < count; ++j, ++term) {
      const Row& f_j = f[term->place * units];
      Row& df_j = df[term->place * units];
      Element sum[T];
#pragma GCC unroll 4
      for (int t = 0; t < T; ++t) sum[t] = Element{};
#pragma GCC unroll 4
      for (int i = 0; i < packs; ++i) {
        Element df_i = df_j[i];
#pragma GCC unroll 4
        for (int t = 0; t < T; ++t) {
          sum[t] += dy[t][i] * f_j[i];
          df_i += dy[t][i] * term[t * step].weight;
        }
        df_j[i] = df_i;
      }
#pragma GCC unroll 4
      for (int t = 0; t < T; ++t) sums[t * N + j] = sum[t];
    }
    for (Index j = count; j < N; ++j) {
      for (int t = 0; t < T; ++t) sums[t * N + j] = Element{};
    }
    kernel::sum_lanes<S>(sums, totals);
    for (int t = 0; t < T; ++t) {
      S* dw = dweights + t * step;
      if (count == N) {  // at once
        S sum[N];
        for (int j = 0; j < N; ++j) sum[j] = dw[j] + totals[t * N + j];
        std::copy_n(sum, N, dw);
      } else {
        for (Index j = 0; j < count; ++j) dw[j] += totals[t * N + j];
      }
    }
  }
};

}  // namespace selgate::detail
