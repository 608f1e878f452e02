// SPDX-License-Identifier: MIT
#include <selgate/mixture/terms.hpp>

#include <selgate/core/random.hpp>

#include "catch.hpp"

#include <algorithm>

using namespace selgate;

namespace {

constexpr Index experts = 20, tasks = 3;

/// Weights of which such a share is not 0, and what they make of `terms`, which may have been used.
struct Built {
  GateOutput<double> weights;
  Dispatch dispatch{experts};

  Built(Storage storage, bool is_static, Index examples, double density, Terms<double>& terms)
      : weights(storage, experts, is_static ? tasks : tasks * examples) {
    const Index columns = is_static ? tasks : tasks * examples;
    Rng rng(1);
    Matrix<double> w = uniform<double>(experts, columns, rng, 0, 1);
    w = (w.array() < density).select(w, 0);
    weights.begin(columns);
    for (Index c = 0; c < columns; ++c) {
      if (storage == Storage::dense) {
        weights.dense().col(c) = w.col(c);
      } else {
        weights.routing().push_non_zeros(w.col(c).data(), experts);
        weights.routing().end_column();
      }
    }
    dispatch.build(weights, tasks, examples, is_static);
    terms.build({weights, tasks, is_static}, dispatch);
  }
};

}  // namespace

TEST_CASE("terms: the weights that are not 0, and where the experts' outputs lie") {
  const Storage storage = GENERATE(Storage::dense, Storage::routing);
  const bool is_static = GENERATE(false, true);
  const double density = GENERATE(0.0, 0.1, 0.9);
  Terms<double> terms;
  const Built built(storage, is_static, 5, density, terms);
  const Matrix<double> w = built.weights.to_dense();
  REQUIRE(terms.num_columns() == w.cols());
  CHECK(terms.size() == (w.array() != 0).count());
  for (Index c = 0; c < w.cols(); ++c) {
    Index e = -1;
    for (const Term<double>& term : terms.column(c)) {
      CHECK((w.col(c).segment(e + 1, term.expert - e - 1).array() == 0).all());
      e = term.expert;
      CHECK(term.weight == w(e, c));
      const Index rank = built.dispatch.ranks()[static_cast<std::size_t>(e)];
      REQUIRE(built.dispatch.expert(rank) == e);
      if (is_static) {
        CHECK(term.place == rank);
      } else if (!built.dispatch.whole()) {
        const Index j = term.place - built.dispatch.first(rank);
        CHECK(built.dispatch.example(rank, j) == c / tasks);
      }
    }
    CHECK((w.col(c).tail(experts - e - 1).array() == 0).all());
  }
}

TEST_CASE("terms: what was built before leaves nothing") {
  const bool is_static = GENERATE(false, true);
  Terms<double> used;
  for (const double density : {0.5, 0.9, 0.1, 0.0, 1.0}) {
    for (const Storage storage : {Storage::dense, Storage::routing}) {
      for (const Index examples : {7, 2}) {
        Terms<double> fresh;
        const Built as_new(storage, is_static, examples, density, fresh);
        const Built again(storage, is_static, examples, density, used);
        REQUIRE(used.num_columns() == fresh.num_columns());
        CHECK(used.size() == fresh.size());
        for (Index c = 0; c < used.num_columns(); ++c) {
          const auto a = used.column(c), b = fresh.column(c);
          CHECK(
              std::equal(a.begin(), a.end(), b.begin(), b.end(), [](const auto& x, const auto& y) {
                return x.place == y.place && x.expert == y.expert && x.weight == y.weight;
              }));
          if (is_static) CHECK(used.repeats(c) == fresh.repeats(c));
        }
      }
    }
  }
}
