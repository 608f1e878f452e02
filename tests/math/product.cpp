// SPDX-License-Identifier: MIT
#include <selgate/math/product.hpp>

#include <selgate/core/random.hpp>

#include "catch.hpp"

#include <limits>

using namespace selgate;

namespace {

/// One product three times: forward, dx and dW (this one in two ways), each added to (or set over)
/// something.
template <class S>
struct Products {
  Matrix<S> y, dx, dw, dw_of_rows;

  Products(const Matrix<S>& w, const Matrix<S>& bias, const Matrix<S>& x, const Matrix<S>& dy)
      : y(Matrix<S>::Constant(w.cols(), x.cols(), std::numeric_limits<S>::quiet_NaN())),
        dx(Matrix<S>::Ones(x.rows(), x.cols())),
        dw(Matrix<S>::Ones(w.rows(), w.cols())),
        dw_of_rows(dw) {
    forward_product<S>(w, bias, x, y);
    input_gradient_product<S>(w, dy, dx);
    weight_gradient_product<S>(x, dy, dw);
    weight_gradient_product_of_rows<S>(Matrix<S>(x.transpose()), Matrix<S>(dy.transpose()),
                                       dw_of_rows);
  }
};

template <class S>
bool close(const Matrix<S>& got, const Matrix<long double>& expected, Index terms) {
  const auto tolerance =
      static_cast<long double>(terms) * static_cast<long double>(std::numeric_limits<S>::epsilon());
  return ((got.template cast<long double>() - expected).array().abs() <= tolerance).all();
}

}  // namespace

TEMPLATE_TEST_CASE("product: the fast ways equal the plain loops", "", float, double) {
  using S = TestType;
  // Around the sizes of lanes, tiles and blocks of tiles.
  const Index in = GENERATE(0, 1, 3, 4, 8, 9, 16, 33, 100),
              out = GENERATE(1, 2, 3, 4, 9, 16, 22, 27, 63, 64, 65),
              batch = GENERATE(0, 1, 3, 4, 5, 9, 17, 67);
  const bool has_bias = GENERATE(false, true);
  Rng rng(1);
  const Matrix<S> w = uniform<S>(in, out, rng), bias = uniform<S>(has_bias ? out : 0, 1, rng),
                  x = uniform<S>(in, batch, rng), dy = uniform<S>(out, batch, rng);
  const Products<S> fast(w, bias, x, dy);
  using L = long double;
  const Products<L> plain(w.template cast<L>(), bias.template cast<L>(), x.template cast<L>(),
                          dy.template cast<L>());
  if (batch == 0) {
    CHECK((fast.dw == Matrix<S>::Ones(in, out) && fast.dw_of_rows == fast.dw));
    return;
  }
  CHECK(close(fast.y, plain.y, in + 1));
  CHECK(close(fast.dx, plain.dx, out + 1));
  CHECK(close(fast.dw, plain.dw, batch + 1));
  CHECK(close(fast.dw_of_rows, plain.dw_of_rows, batch + 1));
  CHECK(plain.dw_of_rows == plain.dw);
}

TEMPLATE_TEST_CASE("product: with examples in the lanes", "", float, double) {
  using S = TestType;
  static constexpr Index lanes = kernel::min_batch<S>;
  const Index in = GENERATE(0, 1, 33, 256, 300), out = GENERATE(1, 7, 8, 21),
              batch = lanes + GENERATE(0, 1, lanes - 1, lanes, lanes + 1, 3 * lanes - 1);
  const bool has_bias = GENERATE(false, true);
  Rng rng(4);
  const Matrix<S> w = uniform<S>(in, out, rng), bias = uniform<S>(has_bias ? out : 0, 1, rng),
                  x = uniform<S>(in, batch, rng);
  Matrix<S> y = Matrix<S>::Constant(out, batch, std::numeric_limits<S>::quiet_NaN());
  kernel::batched_forward<S>(w, bias, x, y);
  using L = long double;
  Matrix<L> plain(out, batch);
  forward_product<L>(w.template cast<L>(), bias.template cast<L>(), x.template cast<L>(), plain);
  CHECK(close(y, plain, in + 1));
  Matrix<S> block(out, lanes);
  kernel::batched_forward<S>(w, bias, x.rightCols(lanes), block);
  CHECK(block == y.rightCols(lanes));
}

TEMPLATE_TEST_CASE("product: tiles of 16 outputs, which AVX-512 takes, have the bits of tiles of 8",
                   "", float, double) {
  using S = TestType;
  const Index in = GENERATE(0, 1, 16, 33, 100), out = GENERATE(16, 22, 40), batch = GENERATE(1, 2);
  Rng rng(5);
  const Matrix<S> w = uniform<S>(in, out, rng), bias = uniform<S>(out, 1, rng),
                  x = uniform<S>(in, batch, rng);
  Matrix<S> by_8 = Matrix<S>::Constant(out, batch, std::numeric_limits<S>::quiet_NaN()),
            by_16 = by_8;
  auto products = [&](Matrix<S>& y) {
    return kernel::detail::DotProducts<S>{
        in, batch, {w.data(), in}, {x.data(), in}, bias.data(), {y.data(), out}};
  };
  products(by_8).template set<8, 1>(0, out);
  products(by_16).template set<16, 1>(0, out);
  CHECK(by_16 == by_8);
}

TEMPLATE_TEST_CASE("product: where most of dy is 0, the rest alone", "", float, double) {
  using S = TestType;
  const Index in = 33, out = GENERATE(20, 64, 100), batch = GENERATE(1, 37);
  Rng rng(2);
  const Matrix<S> w = uniform<S>(in, out, rng), x = uniform<S>(in, batch, rng);
  Matrix<S> dy = Matrix<S>::Zero(out, batch);
  for (Index b = 0; b < batch; ++b) dy(b % out, b) = static_cast<S>(rng.uniform(-1, 1));
  REQUIRE(detail::is_sparse<S>(dy));
  REQUIRE_FALSE(detail::is_sparse<S>(uniform<S>(out, batch, rng)));
  const Products<S> fast(w, Matrix<S>(0, 1), x, dy);
  using L = long double;
  const Products<L> plain(w.template cast<L>(), Matrix<L>(0, 1), x.template cast<L>(),
                          dy.template cast<L>());
  CHECK(close(fast.dx, plain.dx, out + 1));
  CHECK(close(fast.dw, plain.dw, batch + 1));
}

TEMPLATE_TEST_CASE("product: up to 64 outputs an example has the same bits in any batch", "", float,
                   double) {
  using S = TestType;
  const Index in = GENERATE(1, 7, 33, 100), out = GENERATE(1, 3, 5, 9, 22, 27, 64),
              batch = GENERATE(2, 5, 17, 67);
  Rng rng(2);
  const Matrix<S> w = uniform<S>(in, out, rng), bias = uniform<S>(out, 1, rng),
                  x = uniform<S>(in, batch, rng), dy = uniform<S>(out, batch, rng);
  const Products<S> all(w, bias, x, dy);
  for (Index b = 0; b < batch; ++b) {
    const Products<S> one(w, bias, x.col(b), dy.col(b));
    CHECK(one.y == all.y.col(b));
    CHECK(one.dx == all.dx.col(b));
  }
}

TEMPLATE_TEST_CASE("product: works on parts of larger matrices", "", float, double) {
  using S = TestType;
  const Index out = GENERATE(5, 70);
  Rng rng(3);
  Matrix<S> w = uniform<S>(12, out + 4, rng), x = uniform<S>(15, 6, rng),
            dy = uniform<S>(out + 3, 6, rng);
  Matrix<S> y = Matrix<S>::Constant(out + 2, 6, S(7)), dx = Matrix<S>::Constant(15, 6, S(7)),
            dw = w;
  const Matrix<S> none;
  auto part_w = w.block(1, 2, 9, out);
  auto part_x = x.middleRows(3, 9);
  auto part_dy = dy.middleRows(2, out);
  const Products<S> whole(part_w, none, part_x, part_dy);
  forward_product<S>(part_w, none, part_x, y.middleRows(1, out));
  input_gradient_product<S>(part_w, part_dy, dx.middleRows(3, 9));
  weight_gradient_product<S>(part_x, part_dy, dw.block(1, 2, 9, out));
  Matrix<S> x_rows = x.transpose(), dy_rows = dy.transpose(), dw_of_rows = w;
  weight_gradient_product_of_rows<S>(x_rows.middleCols(3, 9), dy_rows.middleCols(2, out),
                                     dw_of_rows.block(1, 2, 9, out));
  auto near = [](const auto& a, const auto& b) {
    return (a - b).cwiseAbs().maxCoeff() <= S(100) * std::numeric_limits<S>::epsilon();
  };
  CHECK(near(y.middleRows(1, out), whole.y));
  CHECK(near(dx.middleRows(3, 9).array() - S(6), whole.dx.array()));
  CHECK(near((dw - w).block(1, 2, 9, out).array() + S(1), whole.dw.array()));
  CHECK(near(dw_of_rows, dw));
  CHECK(y.row(0) == y.row(out + 1));
  CHECK((y.row(0).array() == S(7)).all());
  CHECK((dx.topRows(3).array() == S(7)).all());
  CHECK((dx.bottomRows(3).array() == S(7)).all());
}
