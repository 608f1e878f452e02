// SPDX-License-Identifier: MIT
#pragma once

#include <selgate/math/kernel/lanes.hpp>
#include <selgate/mixture/task_vectors.hpp>
#include <selgate/mixture/terms.hpp>

#include <algorithm>
#include <span>

namespace selgate::detail {

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

  void combine(Index b, Index examples, const TaskVectors<S>& y) const {
    Element f[packs * max_rows], y_tile[packs * max_task_rows];
    const Index rows = outputs.stacked_rows();
    kernel::gather_packs<S, packs>(outputs.stacked(b, examples), rows, f);
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
      if (side_by_side(y)) {
        for_packs(y, first, count, b, examples,
                  [&](S* to, Index numbers, Index at) { L::store(y_tile[at], to, numbers); });
      } else {
        for_matrices(y, first, count, b, examples, [&](const View<S>& part, Index row) {
          kernel::scatter_packs<S>(y_tile + row, y_rows, part);
        });
      }
    });
  }

  /// dweights: one a term.
  void backward(Index b, Index examples, const TaskVectors<const S>& dy, ExpertBlocks<S>& doutputs,
                S* dweights) const {
    Element f[packs * max_rows], df[packs * max_rows], dy_tile[packs * max_task_rows];
    const Index rows = outputs.stacked_rows();
    kernel::gather_packs<S, packs>(outputs.stacked(b, examples), rows, f);
    std::fill_n(df, packs * rows, Element{});
    for_task_blocks([&](Index first, Index count) {
      const Index dy_rows = count * units;
      if (side_by_side(dy)) {
        for_packs(dy, first, count, b, examples, [&](const S* from, Index numbers, Index at) {
          dy_tile[at] = L::load(from, numbers);
        });
      } else {
        for_matrices(dy, first, count, b, examples, [&](const View<const S>& part, Index row) {
          kernel::gather_packs<S, packs>(part, dy_rows, dy_tile + row);
        });
      }
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
    kernel::scatter_packs<S>(df, rows, doutputs.stacked(b, examples));
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
  /// Then: body(where a pack begins, how many numbers there are of it, its place in the tile).
  template <class T, class Body>
  static void for_packs(const TaskVectors<T>& y, Index first, Index count, Index b, Index examples,
                        const Body& body) {
    for (Index t = 0; t < count; ++t) {
      for (Index i = 0; i < packs; ++i) {
        const Index at = std::min(i * L::count, examples);
        body(y.at(first + t, b + at), std::min(L::count, examples - at), i * count + t);
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

}  // namespace selgate::detail
