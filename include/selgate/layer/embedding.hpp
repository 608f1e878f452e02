// SPDX-License-Identifier: MIT
#pragma once

#include <selgate/core/concepts.hpp>
#include <selgate/core/random.hpp>

#include <cstdint>
#include <span>
#include <type_traits>

namespace selgate {

struct EmbeddingOptions {
  Index rows = 0;      // >= 1, how many things have a vector
  Index features = 0;  // >= 1, of each vector
};

/// y(:, b) = the vector of ids[b]. Takes ids instead of features, so it is a Module but no Layer:
/// it stands in front of a model, whose dx is its dy.
///
/// Backward: d(vector of ids[b]) += dy(:, b). The gradient remembers which rows it `touched`;
/// zeroing it and stepping the table along it visit these alone.
///
/// Rows start at U(+-0.05) (TensorFlow's default). In a file `weight` (rows, features): PyTorch's
/// nn.Embedding, byte for byte. Throws config_error for a size below 1 and, before anything is
/// written, for an id outside 0..rows-1; shape_error for ids and columns that differ in number.
template <class S>
class Embedding {
 public:
  using Scalar = S;
  using Cache = Empty;
  struct Gradient {
    Matrix<S> weight;  // features x rows, one vector a column; zero outside `touched`
    IndexSet touched;

    template <class F, class... M>
    static void visit(F&& f, M&... m) {
      Embedding::visit(f, m...);
    }
  };

  Embedding(const EmbeddingOptions& options, Rng& rng) : options_(options) {
    require(options.rows >= 1, "Embedding: rows", ">= 1", options.rows);
    require(options.features >= 1, "Embedding: features", ">= 1", options.features);
    require_countable("Embedding: weight", options.rows, options.features);
    weight.resize(options.features, options.rows);
    fill_uniform(weight, -0.05, 0.05, rng);
  }

  [[nodiscard]] const EmbeddingOptions& options() const { return options_; }
  [[nodiscard]] Index out_features() const { return options_.features; }

  Cache make_cache(Index) const { return {}; }
  Gradient make_gradient() const {
    return {Matrix<S>::Zero(options_.features, options_.rows), IndexSet(options_.rows)};
  }

  void forward(const Context&, std::span<const std::int32_t> ids, Out<S> y) const {
    require_fit(ids, y);
    for (std::size_t b = 0; b < ids.size(); ++b) y.col(static_cast<Index>(b)) = weight.col(ids[b]);
  }

  void backward(const Context&, std::span<const std::int32_t> ids, const In<S>& dy,
                Gradient& gradient) const {
    require_fit(ids, dy);
    require_gradient("Embedding", weight, gradient.weight);
    for (std::size_t b = 0; b < ids.size(); ++b) {
      gradient.weight.col(ids[b]) += dy.col(static_cast<Index>(b));
      gradient.touched.insert(ids[b]);
    }
  }

  [[nodiscard]] Flops flops(Index columns) const {
    return {.backward = options_.features * columns};
  }

  /// The table as one leaf, or one leaf for each touched row.
  template <class F, class First, class... Rest>
  static void visit(F&& f, First& first, Rest&... rest) {
    auto whole = [&] { f("weight", no_index, leaf(first.weight), leaf(rest.weight)...); };
    if constexpr (blocks_of<F> == Blocks::named) {
      whole();
    } else {
      auto row = [&](Index i) { f("weight", i, row_leaf(first, i), row_leaf(rest, i)...); };
      for_each_block(f, first, first.weight.cols(), row, whole);
    }
  }

  Matrix<S> weight;  // features x rows

 private:
  template <class M>
  static auto row_leaf(M& m, Index row) {
    auto vector = m.weight.col(row);
    return leaf(vector, Shape{m.weight.rows()});
  }

  template <class Columns>
  void require_fit(std::span<const std::int32_t> ids, const Columns& columns) const {
    require_size("Embedding: rows of y or dy (features)", options_.features, columns.rows());
    require_size("Embedding: columns of y or dy (ids)", static_cast<Index>(ids.size()),
                 columns.cols());
    for (std::size_t b = 0; b < ids.size(); ++b) {
      if (ids[b] < 0 || ids[b] >= options_.rows) {
        require(false, "Embedding: id at position " + to_text(b),
                "0.." + to_text(options_.rows - 1), ids[b]);
      }
    }
  }

  EmbeddingOptions options_;
};

}  // namespace selgate
