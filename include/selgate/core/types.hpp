// SPDX-License-Identifier: MIT
#pragma once

#include <Eigen/Core>

#include <concepts>
#include <cstdint>
#include <functional>
#include <type_traits>

#if defined(__FAST_MATH__)
#error "selgate: -ffast-math breaks exact zeros, NaN checks and reproducibility; build without it"
#endif
#if !EIGEN_VERSION_AT_LEAST(3, 4, 0)
#error "selgate: needs Eigen 3.4 or later"
#endif
#if !defined(__cpp_exceptions)
#error "selgate: reports errors by exceptions; build without -fno-exceptions"
#endif

namespace selgate {

using Index = Eigen::Index;

/// Activations are features x batch: one example per column, each example contiguous.
/// Weights are in x out (y = W' x): one output unit is one contiguous column.
template <class S>
using Matrix = Eigen::Matrix<S, Eigen::Dynamic, Eigen::Dynamic, Eigen::ColMajor>;
template <class S>
using Vector = Eigen::Matrix<S, Eigen::Dynamic, 1, Eigen::ColMajor>;

/// What a pass reads: features x batch. Of whole numbers there are no gradients.
template <class S>
  requires(!std::integral<S>)
using In = Eigen::Ref<const Matrix<S>>;
/// What a pass writes: features x batch. A 0 x 0 object means "not wanted".
template <class S>
  requires(!std::integral<S>)
using Out = Eigen::Ref<Matrix<S>>;

/// A view of part of a buffer; columns lie `outer stride` scalars apart.
template <class S>
using View = Eigen::Map<
    std::conditional_t<std::is_const_v<S>, const Matrix<std::remove_const_t<S>>, Matrix<S>>, 0,
    Eigen::OuterStride<>>;

/// The argument for an output nobody wants, as in `layer.backward(..., not_wanted<float>(), ...)`.
template <class S>
Out<S> not_wanted() {
  return Out<S>(Eigen::Map<Matrix<S>>(nullptr, 0, 0));
}
template <class S>
bool wanted(const Out<S>& out) {
  return out.size() != 0;
}

/// Whether two matrices have an entry in common; exact for parts of one matrix.
template <class S>
bool share_memory(const In<S>& a, const In<S>& b) {
  if (a.size() == 0 || b.size() == 0) return false;
  const auto end = [](const In<S>& m) {
    return m.data() + (m.cols() - 1) * m.outerStride() + m.rows();
  };
  const std::less<const S*> before;
  if (!before(a.data(), end(b)) || !before(b.data(), end(a))) return false;
  const Index stride = a.outerStride();
  if (b.outerStride() != stride) return true;
  // Of b's rows behind a's.
  const Index offset = ((b.data() - a.data()) % stride + stride) % stride;
  return offset < a.rows() || offset + b.rows() > stride;
}

/// Sums of losses and metrics are kept in (at least) double.
template <class S>
using accumulate_t = std::conditional_t<std::same_as<S, float>, double, S>;

/// A row-major (batch x features) array, as NumPy, safetensors and IDX have it, seen as
/// features x batch without a copy: the bytes are the same. Temporaries are refused.
template <class Rows>
  requires(bool(Rows::IsRowMajor))
auto as_columns(const Eigen::PlainObjectBase<Rows>& rows) {
  return Eigen::Map<const Matrix<typename Rows::Scalar>>(rows.data(), rows.cols(), rows.rows());
}
template <class Rows>
void as_columns(const Eigen::PlainObjectBase<Rows>&& rows) = delete;

}  // namespace selgate
