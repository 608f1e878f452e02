// SPDX-License-Identifier: MIT
#pragma once

// The smallest modules an optimizer can be tried on.

#include <selgate/core/visit.hpp>

#include <initializer_list>
#include <type_traits>
#include <vector>

namespace selgate_test {

using selgate::Index;

/// Two blocks of parameters; a gradient is one more of them.
template <class S>
struct Pair {
  using Scalar = S;
  using Gradient = Pair;
  selgate::Matrix<S> weight;
  selgate::Vector<S> bias;

  Pair(Index in, Index out)
      : weight(selgate::Matrix<S>::Zero(in, out)), bias(selgate::Vector<S>::Zero(out)) {}

  template <class F, class... M>
  static void visit(F&& f, M&... m) {
    f("weight", selgate::no_index, selgate::leaf(m.weight)...);
    f("bias", selgate::no_index, selgate::leaf(m.bias)...);
  }
};

/// One block of n parameters with given values.
template <class S>
struct Block {
  using Scalar = S;
  using Gradient = Block;
  selgate::Vector<S> values;

  explicit Block(Index size) : values(selgate::Vector<S>::Zero(size)) {}
  Block(std::initializer_list<double> list) : Block(static_cast<Index>(list.size())) {
    Index i = 0;
    for (double x : list) values(i++) = S(x);
  }

  template <class F, class... M>
  static void visit(F&& f, M&... m) {
    f("values", selgate::no_index, selgate::leaf(m.values)...);
  }
};

/// As many blocks as one likes.
template <class S>
struct BlockList {
  using Scalar = S;
  using Gradient = BlockList;
  std::vector<Block<S>> list;

  template <class F, class First, class... Rest>
  static void visit(F&& f, First& first, Rest&... rest) {
    for (std::size_t i = 0; i < first.list.size(); ++i) {
      f("", static_cast<Index>(i), first.list[i], rest.list[i]...);
    }
  }
};

/// Rows of which a pass may touch some, as in an embedding: one block, or row by row.
template <class S>
struct Table {
  struct Gradient;
  using Scalar = S;
  selgate::Matrix<S> columns;  // one row of the table per column

  Table(Index rows, Index features) : columns(selgate::Matrix<S>::Zero(features, rows)) {}

  template <class F, class First, class... Rest>
  static void visit(F&& f, First& first, Rest&... rest) {
    auto whole = [&] {
      f("table", selgate::no_index, selgate::leaf(first.columns), selgate::leaf(rest.columns)...);
    };
    if constexpr (selgate::blocks_of<F> == selgate::Blocks::named) {
      whole();
    } else {
      auto row = [](auto& table, Index i) {
        auto column = table.columns.col(i);
        return selgate::leaf(column, {table.columns.rows()});
      };
      selgate::for_each_block(
          f, first, first.columns.cols(),
          [&](Index i) { f("table", i, row(first, i), row(rest, i)...); }, whole);
    }
  }
};
template <class S>
struct Table<S>::Gradient : Table<S> {
  selgate::IndexSet touched;
  explicit Gradient(const Table& table)
      : Table(table.columns.cols(), table.columns.rows()), touched(table.columns.cols()) {}
};

/// A module without parameters.
struct Nothing {
  using Scalar = float;
  using Gradient = Nothing;
  template <class F, class... M>
  static void visit(F&&, M&...) {}
};

}  // namespace selgate_test
