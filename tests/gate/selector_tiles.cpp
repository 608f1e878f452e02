// SPDX-License-Identifier: MIT
#include <selgate/gate/selector_tiles.hpp>

#include <selgate/core/random.hpp>

#include "catch.hpp"

#include <limits>

using namespace selgate;

TEMPLATE_TEST_CASE("selector tiles: mix and bits of each column, in any number of columns", "",
                   float, double, long double) {
  using S = TestType;
  using Tiles = SelectorTiles<S>;
  const Index k = 3, m = 2, columns = GENERATE(1, 8, 17, 21);
  Rng rng(1);
  const Matrix<S> logits = uniform<S>(k + k * m, columns, rng, -1, 1);
  const auto step = [](const auto& z) { return smooth_step(z, S(1)); };
  Tiles tiles(k, m, columns);
  Index seen = 0;
  Tiles::for_each_tile(columns, [&](const typename Tiles::Tile& tile) {
    CHECK(tile.first == seen);
    seen += tile.count;
    tiles.set(tile, logits.middleCols(tile.first, tile.count), step);
    for (Index lane = 0; lane < tile.count; ++lane) {
      const Vector<S> z = logits.col(tile.first + lane);
      const auto& [mix, bits] = tiles.read(tile, lane);
      Vector<S> expected(k);
      REQUIRE(softmax(z.data(), k, expected.data()));
      for (Index i = 0; i < k; ++i) {
        const S a = mix[static_cast<std::size_t>(i)];
        CHECK(std::abs(a - expected[i]) <= 4 * std::numeric_limits<S>::epsilon());
      }
      for (Index b = 0; b < k * m; ++b) {
        const SmoothStep<S> bit = smooth_step(z[k + b], S(1));
        CHECK(bits[static_cast<std::size_t>(b)].v == bit.v);
        CHECK(bits[static_cast<std::size_t>(b)].w == bit.w);
      }
    }
  });
  CHECK(seen == columns);
}

TEMPLATE_TEST_CASE("selector tiles: a single column has the bits and derivatives it has in a tile",
                   "", float, double, long double) {
  using S = TestType;
  using Tiles = SelectorTiles<S>;
  using Element = typename Tiles::Element;
  constexpr Index k = 3, m = 2, columns = 2;
  Rng rng(1);
  const Matrix<S> logits = uniform<S>(k + k * m, columns, rng, -0.6, 0.6);
  const Matrix<S> upstream = uniform<S>(k + k * m, columns, rng);
  const auto step = [](const auto& z) { return smooth_step(z, S(1)); };
  Tiles together(k, m, columns), alone(k, m, 1);
  Matrix<S> expected = Matrix<S>::Ones(logits.rows(), columns), dlogits = expected;
  Tiles::for_each_tile(columns, [&](const typename Tiles::Tile& tile) {
    together.set(tile, logits.middleCols(tile.first, tile.count), step);
    std::vector<Element> d(static_cast<std::size_t>(logits.rows()));
    kernel::gather<S>(upstream.middleCols(tile.first, tile.count), d.data());
    together.add_gradient(tile, S(1), d.data(), d.data() + k,
                          expected.middleCols(tile.first, tile.count));
  });
  const typename Tiles::Tile first{0, 1};
  CHECK(first.is_single() == (Tiles::lanes > 1));
  for (Index c = 0; c < columns; ++c) {
    alone.set(first, logits.col(c), step);
    Vector<S> d = upstream.col(c);
    alone.add_gradient(first, S(1), d.data(), d.data() + k, dlogits.col(c));
    const typename Tiles::Tile tile{Tiles::lanes == 1 ? c : 0, std::min(columns, Tiles::lanes)};
    for (Index i = 0; i < k; ++i) {
      CHECK(alone.read_mix(first, 0, i) == together.read_mix(tile, c - tile.first, i));
    }
  }
  CHECK(dlogits == expected);
}

TEST_CASE("selector tiles: a logit that is none is named") {
  const double nan = std::numeric_limits<double>::quiet_NaN();
  using Tiles = SelectorTiles<double>;
  Tiles tiles(2, 1, 20);
  Matrix<double> logits = Matrix<double>::Zero(4, 2);  // every pack has two lanes
  const auto set = [&] {
    tiles.set({16, 2}, logits, [](const auto& z) { return smooth_step(z, 1.0); });
  };
  logits(0, 0) = -std::numeric_limits<double>::infinity();
  CHECK_NOTHROW(set());  // a share of 0
  logits(3, 1) = nan;
  CHECK_THROWS_WITH(set(), "DSelect-k gate: logit in row 3, column 17: expected a number, got nan");
  logits(1, 0) = nan;
  CHECK_THROWS_WITH(
      set(),
      "DSelect-k gate: logit in row 1, column 16: expected a finite number or -inf, got nan");
}
