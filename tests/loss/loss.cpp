// SPDX-License-Identifier: MIT
#include <selgate/loss/loss.hpp>

#include "catch.hpp"
#include "support.hpp"

#include <selgate/testing/counted.hpp>

#include <vector>

using namespace selgate;
using namespace selgate_test;

static_assert(LossFunction<SquaredError<float>>);
static_assert(LossFunction<BinaryCrossEntropy<long double>>);
static_assert(LossFunction<SoftmaxCrossEntropy<Dual<double>>>);
static_assert(LossFunction<SoftmaxCrossEntropy<Counted>>);

TEMPLATE_TEST_CASE("loss: chosen at run time, computed the same", "", float, double) {
  using S = TestType;
  Rng rng(11);
  const Matrix<S> z = uniform<S>(1, 6, rng);
  Matrix<S> targets(2, 6);
  targets << 0, 1, 1, 0, 1, 1, 0, 0, 0, 0, 0, 0;
  const RowVector<S> mask{{S(1), S(0), S(1), S(1), S(0), S(1)}};
  auto agree = [&](const auto& chosen, const Row<S>& target) {
    const Loss<S> loss = chosen;
    Matrix<S> direct = Matrix<S>::Zero(1, 6), visited = direct;
    CHECK(evaluate(loss, z, target, mask, 0.5, visited) ==
          chosen.evaluate(z, target, mask, 0.5, direct));
    CHECK(direct == visited);
  };
  agree(SquaredError<S>{}, targets.row(0));
  agree(BinaryCrossEntropy<S>{Reduction::over_labelled}, targets.row(0));
  agree(SoftmaxCrossEntropy<S>{}, targets.row(1));
}

TEST_CASE("loss: an empty batch and a task without labels contribute nothing") {
  const std::vector<Loss<double>> losses{SquaredError<double>{}, BinaryCrossEntropy<double>{},
                                         SoftmaxCrossEntropy<double>{}};
  const RowVector<double> none, target = RowVector<double>::Constant(3, not_a_number<double>);
  const RowVector<double> mask = RowVector<double>::Zero(3);
  const Matrix<double> empty(1, 0), z = Matrix<double>::Ones(1, 3);
  for (const Loss<double>& loss : losses) {
    Matrix<double> gradient = Matrix<double>::Ones(1, 3);
    CHECK(evaluate(loss, empty, none, all_labelled<double>(), 1, not_wanted<double>()) == 0);
    CHECK(evaluate(loss, z, target, mask, 1, gradient) == 0);
    CHECK(gradient == Matrix<double>::Ones(1, 3));
  }
}
