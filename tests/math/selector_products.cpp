// SPDX-License-Identifier: MIT
#include <selgate/math/selector_products.hpp>

#include <selgate/core/random.hpp>
#include <selgate/testing/gradient_check.hpp>

#include "catch.hpp"
#include "code_bits.hpp"

#include <algorithm>
#include <limits>
#include <vector>

using namespace selgate;

TEMPLATE_TEST_CASE("selector_products: the product of the bits of each code", "", float, double) {
  using S = TestType;
  const int m = GENERATE(0, 1, 2, 3, 4, 5, 6, 8, 9, 12);
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

TEMPLATE_TEST_CASE("selector_gradient: a binary bit leaves the bits of the cube without it", "",
                   float, double) {
  using S = TestType;
  const int m = GENERATE(1, 2, 3, 5, 8), frozen = GENERATE(0, 1, 2, 4, 7);
  if (frozen >= m) return;
  Rng rng(static_cast<std::uint64_t>(m));
  Vector<double> z = uniform<double>(m, 1, rng, -0.49, 0.49);
  z[frozen] = 0.5;
  const Bits<S> bits = steps<S>(z);
  const Subcube all{.base = 0, .free = (Index{1} << m) - 1}, support = subcube(bits.data(), m);
  Vector<S> u = Vector<S>::Zero(all.size()), few(support.size());
  support.for_each_from(
      0, [&](Index i, Index code) { few[i] = u[code] = static_cast<S>(rng.uniform(-1, 1)); });
  Vector<S> scratch(selector_scratch(m)), ds_all = Vector<S>::Zero(m), ds = ds_all;
  const S dot_all =
      selector_gradient(bits.data(), all, S(0.3), u.data(), scratch.data(), ds_all.data());
  CHECK(selector_gradient(bits.data(), support, S(0.3), few.data(), scratch.data(), ds.data()) ==
        dot_all);
  for (int j = 0; j < m; ++j) {
    if (j != frozen) CHECK(ds[j] == ds_all[j]);
  }
}

TEST_CASE("selector_gradient: the derivative of <r, u>") {
  const int m = GENERATE(0, 1, 2, 3, 4, 5, 6, 8, 9, 12);
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
