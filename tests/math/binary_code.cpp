// SPDX-License-Identifier: MIT
#include <selgate/math/binary_code.hpp>

#include <selgate/core/random.hpp>
#include <selgate/testing/gradient_check.hpp>

#include "catch.hpp"
#include "code_bits.hpp"

#include <algorithm>
#include <vector>

using namespace selgate;

namespace {

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
