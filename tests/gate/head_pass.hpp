// SPDX-License-Identifier: MIT
#pragma once

#include <selgate/gate/head.hpp>

namespace selgate {

/// What a head makes of some logits, and of dw (n x columns; entries outside the support are not
/// passed on unless `everywhere`, which dense storage alone allows).
template <class S>
struct HeadPass {
  GateOutput<S> weights;
  Matrix<S> w;  // the same, dense
  Matrix<S> dlogits;
  accumulate_t<S> regularization;
  Flops flops;
};

struct HeadPassOptions {
  Context context = {};
  double scale = 1;
  Storage storage = Storage::dense;
  bool everywhere = false;
};

template <class H>
auto pass(const H& head, const Matrix<typename H::Scalar>& logits,
          const Matrix<typename H::Scalar>& dw, const HeadPassOptions& options = {}) {
  using S = typename H::Scalar;
  auto cache = head.make_cache(logits.cols());
  typename H::Gradient gradient = head.make_gradient();
  GateOutput<S> weights(options.storage, head.num_experts(), logits.cols()), dweights = weights;
  Matrix<S> dlogits = Matrix<S>::Zero(logits.rows(), logits.cols());
  head.forward(options.context, logits, weights, cache);
  dweights.zero_like(weights);
  for (Index c = 0; c < logits.cols(); ++c) {
    for (Index e = 0; e < head.num_experts(); ++e) {
      if (options.everywhere || weights.weight(e, c) != S(0)) dweights.weight_ref(e, c) = dw(e, c);
    }
  }
  head.backward(options.context, logits, weights, dweights, options.scale, dlogits, gradient,
                cache);
  return HeadPass<S>{weights, weights.to_dense(), dlogits,
                     head.regularization(options.context, options.scale, cache),
                     head.flops(logits.cols(), cache)};
}
/// The weights alone.
template <class H>
auto weights_of(const H& head, const Matrix<typename H::Scalar>& logits,
                Storage storage = Storage::dense) {
  using S = typename H::Scalar;
  auto cache = head.make_cache(logits.cols());
  GateOutput<S> weights(storage, head.num_experts(), logits.cols());
  head.forward(Context{}, logits, weights, cache);
  return weights.to_dense();
}
/// One column.
template <class S>
Matrix<S> column(std::initializer_list<S> values) {
  return Eigen::Map<const Matrix<S>>(values.begin(), static_cast<Index>(values.size()), 1);
}

}  // namespace selgate
