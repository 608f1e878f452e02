// SPDX-License-Identifier: MIT
#include <selgate/mixture/dispatch.hpp>

#include <selgate/core/random.hpp>

#include "catch.hpp"

#include <set>
#include <vector>

using namespace selgate;

namespace {

/// Random weights, each expert selected with the given probability.
GateOutput<float> draw(Storage storage, Index n, Index columns, double density, Rng& rng) {
  GateOutput<float> weights(storage, n, columns);
  weights.begin(columns);
  if (storage == Storage::dense) weights.dense().setZero();
  for (Index c = 0; c < columns; ++c) {
    for (Index e = 0; e < n; ++e) {
      if (rng.uniform() >= density) continue;
      if (storage == Storage::dense) {
        weights.dense()(e, c) = 0.5f;
      } else {
        weights.routing().push(e, 0.5f);
      }
    }
    if (storage == Storage::routing) weights.routing().end_column();
  }
  return weights;
}

}  // namespace

TEST_CASE("dispatch: an expert sees the examples in which any task selects it") {
  const Storage storage = GENERATE(Storage::dense, Storage::routing);
  const bool is_static = GENERATE(false, true);
  const Index n = 7, tasks = GENERATE(1, 3);
  Rng rng(1);
  Dispatch dispatch(n);  // one for all passes, as in a cache
  for (const double density : {0.0, 0.1, 0.5, 1.0, 0.3}) {
    for (const Index batch : {6, 0, 1, 5}) {
      const auto weights = draw(storage, n, is_static ? tasks : tasks * batch, density, rng);
      std::vector<std::vector<Index>> expected(n);
      for (Index e = 0; e < n; ++e) {
        for (Index b = 0; b < batch; ++b) {
          bool any = false;
          for (Index t = 0; t < tasks; ++t) {
            any = any || weights.weight(e, is_static ? t : b * tasks + t) != 0;
          }
          if (any) expected[static_cast<std::size_t>(e)].push_back(b);
        }
      }
      dispatch.build(weights, tasks, batch, is_static);
      CHECK(dispatch.batch() == batch);
      Index rank = 0, total = 0;
      bool whole = true;
      for (Index e = 0; e < n; ++e) {
        const auto& examples = expected[static_cast<std::size_t>(e)];
        if (examples.empty()) continue;
        REQUIRE(rank < dispatch.num_active());
        CHECK(dispatch.expert(rank) == e);
        CHECK(dispatch.first(rank) == total);
        REQUIRE(dispatch.num_columns(rank) == static_cast<Index>(examples.size()));
        const bool all = dispatch.num_columns(rank) == batch;
        CHECK(dispatch.sees_all(rank) == all);
        CHECK(dispatch.columns(rank).size() == (all ? 0 : examples.size()));
        for (Index j = 0; j < dispatch.num_columns(rank); ++j) {
          CHECK(dispatch.example(rank, j) == examples[static_cast<std::size_t>(j)]);
        }
        whole = whole && all;
        total += dispatch.num_columns(rank++);
      }
      CHECK(dispatch.num_active() == rank);
      CHECK(dispatch.first(rank) == total);
      CHECK(dispatch.whole() == whole);
    }
  }
}

TEST_CASE("dispatch: whole only where every active expert sees all, not the last alone") {
  GateOutput<float> weights(Storage::dense, 3, 2);
  weights.begin(2);
  weights.dense() << 1, 0,  // seen by one example
      0, 0,                 // by none
      1, 1;                 // by all
  Dispatch dispatch(3);
  dispatch.build(weights, 1, 2, false);
  CHECK_FALSE(dispatch.whole());
  weights.dense()(0, 1) = 1;
  dispatch.build(weights, 1, 2, false);
  CHECK(dispatch.whole());
}

TEST_CASE("expert blocks: do not overlap, and lie stacked where all see all") {
  const double density = GENERATE(0.5, 1.0);
  Rng rng(2);
  const auto weights = draw(Storage::dense, 5, 8, density, rng);
  Dispatch dispatch(5);
  dispatch.build(weights, 1, 8, false);
  ExpertBlocks<float> blocks;
  blocks.layout(dispatch, 3);
  std::set<const float*> places;
  for (Index rank = 0; rank < dispatch.num_active(); ++rank) {
    auto block = blocks.block(dispatch, rank);
    REQUIRE((block.rows() == 3 && block.cols() == dispatch.num_columns(rank)));
    for (Index j = 0; j < block.cols(); ++j) {
      for (Index i = 0; i < 3; ++i) CHECK(places.insert(&block(i, j)).second);
    }
  }
  CHECK(*places.rbegin() - *places.begin() + 1 == static_cast<std::ptrdiff_t>(places.size()));
  if (!dispatch.whole()) return;
  auto stacked = blocks.run(dispatch, 1, 3);
  CHECK((stacked.rows() == 9 && stacked.cols() == 8));
  CHECK(&stacked(4, 5) == &blocks.block(dispatch, 2)(1, 5));
}

TEST_CASE("expert blocks: stacked columns do not lie a multiple of 1 KiB apart") {
  const Index rows = GENERATE(64, 65, 128);
  GateOutput<float> weights(Storage::dense, 4, 3);
  weights.begin(3);
  weights.dense().setOnes();
  Dispatch dispatch(4);
  dispatch.build(weights, 1, 3, false);
  ExpertBlocks<float> blocks;
  blocks.layout(dispatch, rows);
  auto stacked = blocks.stacked(0, 3);
  CHECK((stacked.rows() == 4 * rows && stacked.cols() == 3));
  CHECK(stacked.outerStride() == 4 * rows + (rows == 65 ? 0 : 16));
  CHECK(&stacked(2 * rows, 1) == blocks.vector(4 + 2, 1));
  CHECK(&stacked(2 * rows, 1) == &blocks.block(dispatch, 2)(0, 1));
  blocks.block(dispatch, 3).setOnes();
  blocks.set_zero();
  CHECK(stacked.isZero(0));
}
