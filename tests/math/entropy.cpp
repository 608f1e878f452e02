// SPDX-License-Identifier: MIT
#include <selgate/math/entropy.hpp>

#include <selgate/core/random.hpp>
#include <selgate/testing/gradient_check.hpp>

#include "catch.hpp"
#include "code_bits.hpp"

#include <cmath>
#include <vector>

using namespace selgate;
using Catch::Matchers::WithinAbs;

namespace {

/// The sums of the definitions, over all codes one by one.
template <class S>
S literal_entropy(Entropy kind, Index n, const std::vector<SmoothStep<S>>& bits) {
  using std::log;
  const Index codes = Index{1} << bits.size();
  if (kind == Entropy::all_codes) n = codes;
  std::vector<S> r;
  S mass(0);
  for (Index e = 0; e < n; ++e) {
    S product(1);
    for (std::size_t j = 0; j < bits.size(); ++j) {
      product *= (e >> j & 1) != 0 ? bits[j].value() : bits[j].complement();
    }
    r.push_back(product);
    mass += product;
  }
  S sum(0);
  for (S product : r) {
    if (kind == Entropy::renormalised) product /= mass;
    if (product > S(0)) sum -= product * log(product);
  }
  return sum;
}

Vector<double> draw_bits(int m, bool some_binary, Rng& rng) {
  Vector<double> z(m);
  for (double& at : z) {
    at = some_binary && rng.below(3) == 0 ? (rng.below(2) == 0 ? -0.5 : 0.7)
                                          : rng.uniform(-0.49, 0.49);
  }
  return z;
}

constexpr Entropy kinds[] = {Entropy::all_codes, Entropy::reachable, Entropy::renormalised};

}  // namespace

TEST_CASE("entropy: golden values") {
  // Two selectors each; their bits are given most significant first.
  auto total = [](Index n, const std::vector<std::vector<double>>& selectors) {
    double sum = 0;
    for (const auto& z : selectors) {
      const Vector<double> lsb_first =
          Eigen::Map<const Vector<double>>(z.data(), static_cast<Index>(z.size())).reverse();
      const auto bits = steps<double>(lsb_first);
      sum += selector_entropy(Entropy::reachable, n, bits.data(), static_cast<int>(z.size()));
    }
    return sum;
  };
  CHECK_THAT(total(4, {{.1, -.2}, {.3, .05}}), WithinAbs(2.186188471, 5e-10));
  // This value was computed with log(r + 1e-6), lower by up to 1e-6 for each of 10 codes.
  CHECK_THAT(total(5, {{.1, -.2, .3}, {-.1, .05, .2}}), WithinAbs(1.996168441 + 5e-6, 5e-6));
}

TEST_CASE("entropy: the recurrence equals the literal sums, value and derivative") {
  const Index n = GENERATE(range(1, 34));
  const int m = num_bits(n);
  Rng rng(static_cast<std::uint64_t>(n));
  for (const Entropy kind : kinds) {
    for (int repeat = 0; repeat < 20; ++repeat) {
      const Vector<double> z = draw_bits(m, repeat % 2 == 1, rng);
      const auto bits = steps<double>(z);
      if (reachable_mass(n, bits.data(), m) < mass_floor) continue;  // below: a test of its own
      const auto exact_bits = steps<long double>(z);
      const long double expected = literal_entropy(kind, n, exact_bits);
      CHECK_THAT(selector_entropy(kind, n, bits.data(), m),
                 WithinAbs(static_cast<double>(expected), 2e-14));
      CHECK(std::abs(selector_entropy(kind, n, exact_bits.data(), m) - expected) <= 1e-17L);

      auto literal = [&]<class T>(const Vector<T>& at) {
        return literal_entropy(kind, n, steps<T>(at));
      };
      Vector<double> ds = Vector<double>::Ones(m);
      selector_entropy_gradient(kind, n, bits.data(), m, 0.7, ds.data());
      for (int j = 0; j < m; ++j) {
        const SmoothStep<double>& bit = bits[static_cast<std::size_t>(j)];
        CHECK_THAT(bit.slope(1) * (ds[j] - 1),
                   WithinAbs(0.7 * dual_derivative(literal, z, j), 1e-13));
        if (bit.is_binary()) CHECK(ds[j] == 1);
      }
    }
  }
}

TEST_CASE("entropy: no mass left among the experts") {
  // Code 7 of n = 5: all that is left of `reachable` and `renormalised` is 0, and so is its slope.
  const Vector<double> z = Vector<double>::Constant(3, 0.4999);
  const auto bits = steps<double>(z);
  REQUIRE(reachable_mass(Index{5}, bits.data(), 3) < mass_floor);
  Vector<double> ds = Vector<double>::Zero(3);
  CHECK(selector_entropy(Entropy::renormalised, 5, bits.data(), 3) == 0);
  selector_entropy_gradient(Entropy::renormalised, 5, bits.data(), 3, 1.0, ds.data());
  CHECK(ds == Vector<double>::Zero(3));
  CHECK(selector_entropy(Entropy::reachable, 5, bits.data(), 3) < 1e-5);

  const auto frozen = steps<double>(Vector<double>(Vector<double>::Constant(3, 0.5)));
  for (const Entropy kind : kinds) {
    CHECK(selector_entropy(kind, 5, frozen.data(), 3) == 0);
    selector_entropy_gradient(kind, 5, frozen.data(), 3, 1.0, ds.data());
    CHECK(ds == Vector<double>::Zero(3));
  }
}

TEMPLATE_TEST_CASE("entropy: finite one ulp inside the edges", "", float, double) {
  using S = TestType;
  const S inside = std::nextafter(S(0.5), S(0));
  for (const Entropy kind : kinds) {
    for (int code = 0; code < 8; ++code) {
      std::vector<SmoothStep<S>> bits;
      for (int j = 0; j < 3; ++j)
        bits.push_back(smooth_step((code >> j & 1) != 0 ? inside : -inside, S(1)));
      const S h = selector_entropy(kind, 5, bits.data(), 3);
      CHECK((std::isfinite(h) && h >= 0 && h < S(1e-5)));
      Vector<S> ds = Vector<S>::Zero(3);
      selector_entropy_gradient(kind, 5, bits.data(), 3, S(1), ds.data());
      CHECK(ds.allFinite());
    }
  }
}

TEMPLATE_TEST_CASE("entropy: the bits of one column, alone or as a lane of a tile", "", float,
                   double) {
  using S = TestType;
  using Pack = typename kernel::Lanes<S>::Element;
  Rng rng(1);
  constexpr std::size_t count = 21;
  std::vector<SmoothStep<S>> bits(count);
  for (auto& bit : bits) bit = smooth_step(S(rng.uniform(-0.6, 0.6)), S(1));
  std::vector<SmoothStep<Pack>> tile;
  for (const auto& [v, w] : bits) {
    tile.push_back({kernel::broadcast<Pack>(v), kernel::broadcast<Pack>(w)});
  }
  CHECK(bits_entropy(bits.data(), count) == kernel::get_lane(bits_entropy(tile.data(), count), 0));
  std::vector<S> ds(count, S(1));
  std::vector<Pack> tile_ds(count, kernel::broadcast<Pack>(S(1)));
  bits_entropy_gradient(bits.data(), count, S(0.3), ds.data());
  bits_entropy_gradient(tile.data(), count, S(0.3), tile_ds.data());
  for (std::size_t b = 0; b < count; ++b) CHECK(ds[b] == kernel::get_lane(tile_ds[b], 0));
}
