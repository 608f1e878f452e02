// SPDX-License-Identifier: MIT
#pragma once

#include "row.hpp"

#include <selgate/core/random.hpp>
#include <selgate/loss/reduction.hpp>
#include <selgate/testing/dual.hpp>

namespace selgate_test {

using namespace selgate;

/// weight * d(value) / d(prediction), one entry after another, by dual numbers.
template <template <class> class L>
Matrix<double> dual_gradient(Reduction reduction, const Matrix<double>& prediction,
                             const RowVector<double>& target, const RowVector<double>& mask,
                             double weight) {
  using D = Dual<double>;
  const RowVector<D> dual_target = target.template cast<D>(), dual_mask = mask.template cast<D>();
  Matrix<double> gradient(prediction.rows(), prediction.cols());
  for (Index i = 0; i < prediction.size(); ++i) {
    Matrix<D> z = prediction.template cast<D>();
    z.data()[i].derivative = 1;
    const D value = L<D>{reduction}.evaluate(z, dual_target, dual_mask, weight, not_wanted<D>());
    gradient.data()[i] = weight * value.derivative;
  }
  return gradient;
}

/// Checks what evaluate adds against dual numbers: for both reductions, with and without a mask,
/// on a gradient that is not 0 before. target(b) makes the label of column b.
template <template <class> class L, class MakeTarget>
double worst_gradient_error(Index rows, Index batch, double spread, const MakeTarget& target_of) {
  Rng rng(static_cast<std::uint64_t>(100 * rows + batch));
  const Matrix<double> prediction = uniform<double>(rows, batch, rng, -spread, spread);
  RowVector<double> target(batch), half_mask(batch);
  for (Index b = 0; b < batch; ++b) {
    target(b) = target_of(b, rng);
    half_mask(b) = b % 3 == 1 ? 0 : 1;
  }
  double worst = 0;
  for (const Reduction reduction : {Reduction::over_rows, Reduction::over_labelled}) {
    for (const RowVector<double>& mask : {RowVector<double>(), half_mask}) {
      const double weight = 0.7;
      const Matrix<double> start = uniform<double>(rows, batch, rng);
      Matrix<double> gradient = start;
      L<double>{reduction}.evaluate(prediction, target, mask, weight, gradient);
      const Matrix<double> expected =
          start + dual_gradient<L>(reduction, prediction, target, mask, weight);
      worst = std::max(worst, (gradient - expected).cwiseAbs().maxCoeff());
    }
  }
  return worst;
}

}  // namespace selgate_test
