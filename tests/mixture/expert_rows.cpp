// SPDX-License-Identifier: MIT
#include <selgate/mixture/expert_rows.hpp>

#include "catch.hpp"

#include <vector>

using namespace selgate;

TEST_CASE("expert rows: apart for every expert, and whole tiles of examples may be written") {
  constexpr Index n = 4, batch = 7, rows = 3, tile = 4;
  const bool whole = GENERATE(false, true);
  GateOutput<double> weights(Storage::dense, n, batch);
  weights.begin(batch);
  weights.dense().setOnes();
  if (!whole) weights.dense().row(1).tail(4).setZero();
  Dispatch dispatch(n);
  dispatch.build(weights, 1, batch, false);
  ExpertRows<double, tile> blocks;
  blocks.layout(dispatch, n, rows);
  for (Index rank = 0; rank < n; ++rank) {
    auto block = blocks.run(dispatch, rank, 1);
    CHECK((block.rows() == dispatch.num_columns(rank) && block.cols() == rows));
    const Index tiles = (block.rows() + tile - 1) / tile;
    CHECK(block.outerStride() == tiles * tile);
    for (Index r = 0; r < rows; ++r) {
      std::fill_n(block.col(r).data(), tiles * tile, static_cast<double>(10 * rank + r));
    }
  }
  for (Index rank = 0; rank < n; ++rank) {
    const auto block = blocks.run(dispatch, rank, 1);
    for (Index r = 0; r < rows; ++r) {
      CHECK((block.col(r).array() == static_cast<double>(10 * rank + r)).all());
    }
  }
  if (whole) {
    auto all = blocks.run(dispatch, 1, 3);
    CHECK((all.rows() == batch && all.cols() == 3 * rows));
    all.setConstant(7);
    CHECK((blocks.run(dispatch, 0, 1).array() <= rows).all());
  }
}
