// SPDX-License-Identifier: MIT
#include <selgate/math/binary_code.hpp>

#include <selgate/core/random.hpp>
#include <selgate/testing/gradient_check.hpp>

#include "catch.hpp"
#include "steps.hpp"

#include <algorithm>
#include <limits>
#include <vector>

using namespace selgate;
using selgate::test::Bits;
using selgate::test::steps;

namespace {

/// z of m bits: about a third of them binary, and some of those at the edge, for gamma = 1.
Vector<double> draw_bits(int m, Rng& rng) {
  constexpr double binary[] = {-0.5, 0.5, -0.8, 0.9};
  Vector<double> z(m);
  for (double& at : z) at = rng.below(3) == 0 ? binary[rng.below(4)] : rng.uniform(-0.49, 0.49);
  return z;
}
/// r(e), eq. (4) of the paper.
template <class S>
S literal_product(const Bits<S>& bits, Index e) {
  S r(1);
  for (std::size_t j = 0; j < bits.size(); ++j) {
    r *= (e >> j & 1) != 0 ? bits[j].value() : bits[j].complement();
  }
  return r;
}
template <class S>
S literal_mass(Index n, const Bits<S>& bits) {
  S mass(0);
  for (Index e = 0; e < n; ++e) mass += literal_product(bits, e);
  return mass;
}

}  // namespace

TEST_CASE("num_bits: the smallest m with n <= 2^m") {
  for (Index n = 1; n <= 1025; ++n) {
    int m = 0;
    while ((Index{1} << m) < n) ++m;
    CHECK(num_bits(n) == m);
    CHECK(is_power_of_two(n) == (n == Index{1} << m));
  }
  static_assert(num_bits(1) == 0 && num_bits(2) == 1 && num_bits(Index{1} << 31) == 31);
}

TEST_CASE("subcube: the codes that the bits leave possible, in ascending order") {
  constexpr SmoothStep<double> states[] = {{0, 1}, {1, 0}, {0.4, 0.6}};  // zero, one, fractional
  for (int m = 0; m <= 5; ++m) {
    int count = 1;
    for (int j = 0; j < m; ++j) count *= 3;
    for (int state = 0; state < count; ++state) {
      Bits<double> bits;
      for (int j = 0, rest = state; j < m; ++j, rest /= 3) bits.push_back(states[rest % 3]);
      std::vector<Index> expected;
      for (Index e = 0; e < Index{1} << m; ++e) {
        if (literal_product(bits, e) > 0) expected.push_back(e);
      }
      const Subcube cube = subcube(bits.data(), m);
      REQUIRE(cube.size() == static_cast<Index>(expected.size()));
      REQUIRE(cube.size() == Index{1} << cube.num_free());
      for (Index first = 0; first <= cube.size(); ++first) {
        std::vector<Index> codes(expected.begin(), expected.begin() + first);
        cube.for_each_from(first, [&](Index i, Index code) {
          REQUIRE(i == static_cast<Index>(codes.size()));
          REQUIRE(code == cube.code(i));
          codes.push_back(code);
        });
        REQUIRE(codes == expected);
      }
      for (Index n = 0; n <= Index{1} << m; ++n) {
        const auto below = std::lower_bound(expected.begin(), expected.end(), n);
        REQUIRE(cube.count_below(n, m) == below - expected.begin());
      }
    }
  }
}

TEMPLATE_TEST_CASE("selector_products: the product of the bits of each code", "", float, double) {
  using S = TestType;
  const int m = GENERATE(0, 1, 2, 3, 6, 7, 10);
  Rng rng(static_cast<std::uint64_t>(m));
  std::vector<S> scratch(static_cast<std::size_t>(selector_scratch(m)));
  for (int repeat = 0; repeat < 50; ++repeat) {
    const Bits<S> bits = steps<S>(draw_bits(m, rng));
    const Subcube cube = subcube(bits.data(), m);
    const S scale = static_cast<S>(rng.uniform(0.1, 1));
    std::vector<S> r(static_cast<std::size_t>(cube.size()));
    const S smallest = selector_products(bits.data(), cube, scale, r.data(), scratch.data());
    const S least = *std::min_element(r.begin(), r.end());
    CHECK(std::abs(smallest - least) <= S(2 * m) * std::numeric_limits<S>::epsilon() * least);
    cube.for_each_from(0, [&](Index i, Index code) {
      const S expected = scale * literal_product(bits, code);
      const S rounding = S(2 * m) * std::numeric_limits<S>::epsilon();
      REQUIRE(std::abs(r[static_cast<std::size_t>(i)] - expected) <= rounding * expected);
    });
  }
}

TEST_CASE("selector_products: says when a product underflows") {
  const Bits<float> bits(20, smooth_step(std::nextafter(0.5f, 0.0f), 1.0f));
  const Subcube cube = subcube(bits.data(), 20);
  std::vector<float> r(static_cast<std::size_t>(cube.size()));
  std::vector<float> scratch(static_cast<std::size_t>(selector_scratch(20)));
  CHECK(selector_products(bits.data(), cube, 1.0f, r.data(), scratch.data()) == 0);
  CHECK(r.front() == 0);
  CHECK(r.back() == 1);
}

TEST_CASE("selector_gradient: the derivative of <r, u>") {
  const int m = GENERATE(0, 1, 2, 3, 6, 7, 10);
  Rng rng(static_cast<std::uint64_t>(m) + 1);
  for (int repeat = 0; repeat < 30; ++repeat) {
    const Vector<double> z = draw_bits(m, rng);
    const Bits<double> bits = steps<double>(z);
    const Subcube cube = subcube(bits.data(), m);
    const double scale = rng.uniform(-1, 1);
    const Vector<double> upstream = uniform<double>(Index{1} << m, 1, rng);  // by code
    auto dot = [&]<class T>(const Vector<T>& at) {
      const Bits<T> dual_bits = steps<T>(at);
      T sum(0);
      for (Index e = 0; e < upstream.size(); ++e) {
        sum += literal_product(dual_bits, e) * T(upstream[e]);
      }
      return sum;
    };
    Vector<double> u(cube.size()), scratch(selector_scratch(m)), ds = Vector<double>::Ones(m);
    cube.for_each_from(0, [&](Index i, Index code) { u[i] = upstream[code]; });
    const double got =
        selector_gradient(bits.data(), cube, scale, u.data(), scratch.data(), ds.data());
    CHECK(std::abs(got - dot(z)) <= 1e-14);
    for (int j = 0; j < m; ++j) {
      const SmoothStep<double>& bit = bits[static_cast<std::size_t>(j)];
      const double expected = scale * dual_derivative(dot, z, j);
      CHECK(std::abs(bit.slope(1) * (ds[j] - 1) - expected) <= 1e-14);
      if (bit.is_binary()) CHECK(ds[j] == 1);
    }
  }
}

TEST_CASE("reachable_mass: the sum over the codes below n, and its derivative") {
  const Index n = GENERATE(range(1, 34));
  const int m = num_bits(n);
  Rng rng(static_cast<std::uint64_t>(n));
  for (int repeat = 0; repeat < 20; ++repeat) {
    const Vector<double> z = draw_bits(m, rng);
    const Bits<double> bits = steps<double>(z);
    const long double expected = literal_mass(n, steps<long double>(z));
    CHECK(std::abs(static_cast<double>(reachable_mass(n, bits.data(), m) - expected)) <= 1e-15);
    if (is_power_of_two(n)) {
      CHECK(reachable_mass(n, bits.data(), m) == 1);
      continue;
    }
    auto mass = [&]<class T>(const Vector<T>& at) { return literal_mass(n, steps<T>(at)); };
    Vector<double> ds = Vector<double>::Ones(m);
    reachable_mass_gradient(n, bits.data(), m, 0.7, ds.data());
    for (int j = 0; j < m; ++j) {
      const double slope = bits[static_cast<std::size_t>(j)].slope(1);
      CHECK(std::abs(slope * (ds[j] - 1) - 0.7 * dual_derivative(mass, z, j)) <= 1e-14);
    }
  }
}
