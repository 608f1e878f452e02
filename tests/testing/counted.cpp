// SPDX-License-Identifier: MIT
#include <selgate/testing/counted.hpp>

#include <selgate/core/types.hpp>

#include "catch.hpp"

#include <algorithm>
#include <thread>
#include <type_traits>

using namespace selgate;

static_assert(std::is_convertible_v<double, Counted> && !std::is_convertible_v<Counted, double>);

namespace {
template <class F>
std::int64_t count(const F& f) {
  Counted::reset();
  f();
  return Counted::count();
}
}  // namespace

TEST_CASE("counted: every operation is 1") {
  Counted a = 3, b = 2, c;
  CHECK(count([&] { c = a + b; }) == 1);
  CHECK(c == 5);
  CHECK(count([&] { c = a - b; }) == 1);
  CHECK(c == 1);
  CHECK(count([&] { c = a * b; }) == 1);
  CHECK(c == 6);
  CHECK(count([&] { c = a / b; }) == 1);
  CHECK(c == 1.5);
  CHECK(count([&] { c += a, c -= b, c *= a, c /= b; }) == 4);
  CHECK(c == 3.75);
  CHECK(count([&] { c = 2 * a + 1; }) == 2);
  CHECK(count([&] { (void)exp(a), (void)expm1(a), (void)log(a), (void)log1p(a); }) == 4);
  CHECK(count([&] { (void)sqrt(a), (void)tanh(a), (void)erf(a), (void)erfc(a); }) == 4);
  CHECK(log(Counted(1)) == 0);
}

TEST_CASE("counted: the rest is 0") {
  Counted a = 3, b = 2;
  CHECK(count([&] {
          b = -a;
          b = +b;
          b = std::max(abs(a), floor(b));
          b = ceil(b);
          b = static_cast<Counted>(static_cast<double>(a) + 1);
          (void)(a < b || a == b || isnan(a) || isinf(a) || isfinite(a));
        }) == 0);
  CHECK(b == 4);
}

TEST_CASE("counted: inside Eigen") {
  const Matrix<Counted> a = Matrix<Counted>::Constant(4, 3, 2);
  CHECK(count([&] { (void)a.sum(); }) == 11);
  Matrix<Counted> b = a;
  CHECK(count([&] { b += a.cwiseProduct(a); }) == 24);
  CHECK(b(3, 2) == 6);
  CHECK(b.allFinite());
}

TEST_CASE("counted: each thread counts for itself") {
  const Counted a = 1;
  Counted::reset();
  std::int64_t other = -1;
  std::thread([&] {
    (void)(a + a);
    other = Counted::count();
  }).join();
  CHECK(other == 1);
  CHECK(Counted::count() == 0);
}
