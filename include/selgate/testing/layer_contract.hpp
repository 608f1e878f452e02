// SPDX-License-Identifier: MIT
#pragma once

#include <selgate/testing/layer_probe.hpp>
#include <selgate/testing/report.hpp>

#include <string>

namespace selgate::detail {

/// The laws that a layer obeys in one scalar on its own: what it writes, and into what.
template <class S, class Make>
class LayerContract {
 public:
  LayerContract(const LayerProbe<Make>& probe, std::string scalar, LawReport& report)
      : probe_(probe),
        scalar_(std::move(scalar)),
        report_(report),
        x_(probe.template x<S>()),
        dy_(probe.template dy<S>()),
        layer_(probe.template layer<S>()),
        rounding_(probe.template rounding<S>()) {}

  void check() {
    auto cache = layer_.make_cache(x_.cols());
    plain_ = pass(cache);
    same_y("forward sets", pass(cache, {.y_before = 7}).y, 0);
    for (int times : {1, 2}) {
      const Vector<S> sum = pass(cache, {.gradient_before = 1, .backwards = times}).derivatives();
      same_derivatives("backward adds", (sum.array() - S(1)) / static_cast<S>(times), rounding_);
    }
    report_.compare<S>("dx may be unwanted", pass(cache, {.dx_wanted = false}).gradient,
                       plain_.gradient, rounding_, derivative_name());
    partial_batch();
    singles();
    copies();
    strided_views();
    empty_batch();
    clearing();
  }

 private:
  using L = typename LayerProbe<Make>::template LayerOf<S>;

  LayerPass<S> pass(typename L::Cache& cache, const PassOptions& options = {}) const {
    return probe_.pass(layer_, probe_.context(), x_, dy_, cache, options);
  }
  auto derivative_name() const {
    return [this](Index i) { return scalar_ + ": d/d" + probe_.name(i); };
  }
  void same_y(const char* law, const Matrix<S>& y, double tolerance) {
    report_.compare<S>(law, y.reshaped(), plain_.y.reshaped(), tolerance,
                       [&](Index i) { return scalar_ + ": " + probe_.entry("y", dy_.rows(), i); });
  }
  void same_derivatives(const char* law, const Vector<S>& derivatives, double tolerance) {
    report_.compare<S>(law, derivatives, plain_.derivatives(), tolerance, derivative_name());
  }
  void same(const char* law, const LayerPass<S>& result, double tolerance) {
    same_y(law, result.y, tolerance);
    same_derivatives(law, result.derivatives(), tolerance);
  }

  /// In a cache made for more examples, and used by them before.
  void partial_batch() {
    auto cache = layer_.make_cache(2 * x_.cols());
    const Matrix<S> x = x_.rowwise().reverse().replicate(1, 2);
    const Matrix<S> dy = dy_.rowwise().reverse().replicate(1, 2);
    probe_.pass(layer_, probe_.context(), x, dy, cache);
    same("partial batch", pass(cache), rounding_);
  }

  void singles() {
    LayerPass<S> singles = plain_;
    auto cache = layer_.make_cache(1);
    for (Index b = 0; b < x_.cols(); ++b) {
      Context alone = probe_.context();
      alone.examples = {&b, 1};
      const LayerPass<S> single =
          probe_.pass(layer_, alone, Matrix<S>(x_.col(b)), Matrix<S>(dy_.col(b)), cache);
      singles.y.col(b) = single.y;
      singles.dx.col(b) = single.dx;
    }
    same("batch = singles", singles, probe_.options().bit_equal_batches ? 0 : rounding_);
  }

  void copies() {
    L original = layer_;
    const L copy = original;
    for_each_leaf([](const auto& leaf) { leaf.array() += S(1); }, original);
    auto cache = copy.make_cache(x_.cols());
    same("copies are independent", probe_.pass(copy, probe_.context(), x_, dy_, cache), 0);
  }

  /// Every argument may be part of a larger matrix, of which nothing else is written.
  void strided_views() {
    auto embed = [](const auto& part) {
      Matrix<S> whole = Matrix<S>::Constant(part.rows() + 3, part.cols(), S(7));
      whole.middleRows(1, part.rows()) = part;
      return whole;
    };
    auto part = [](auto& whole) { return whole.middleRows(1, whole.rows() - 3); };
    const Matrix<S> x = embed(x_), dy = embed(dy_);
    Matrix<S> y = embed(S(0) * dy_), dx = embed(S(0) * x_);
    auto cache = layer_.make_cache(x_.cols());
    auto gradient = layer_.make_gradient();
    layer_.forward(probe_.context(), part(x), part(y), cache);
    layer_.backward(probe_.context(), part(x), part(y), part(dy), part(dx), gradient, cache);
    same("strided views", {part(y), part(dx), pack<S>(gradient)}, rounding_);
    part(y).setConstant(S(7));
    part(dx).setConstant(S(7));
    report_.add("strided views", (y.array() == S(7)).all() && (dx.array() == S(7)).all(),
                scalar_ + ": rows outside y or dx");
  }

  void empty_batch() {
    auto cache = layer_.make_cache(x_.cols());
    const Matrix<S> no_x(x_.rows(), 0), no_dy(dy_.rows(), 0);
    const LayerPass<S> result = probe_.pass(layer_, probe_.context(), no_x, no_dy, cache);
    report_.add("empty batch", result.gradient.allFinite(), scalar_ + ": gradient is not finite");
  }

  /// set_zero leaves nothing of what backward wrote: all of it was marked as touched.
  void clearing() {
    auto cache = layer_.make_cache(x_.cols());
    auto gradient = layer_.make_gradient();
    Matrix<S> y(dy_.rows(), dy_.cols());
    layer_.forward(probe_.context(), x_, y, cache);
    layer_.backward(probe_.context(), x_, y, dy_, not_wanted<S>(), gradient, cache);
    set_zero(gradient);
    const Vector<S> rest = pack<S>(gradient);
    report_.compare<S>("set_zero clears", rest, Vector<S>::Zero(rest.size()), 0, derivative_name());
  }

  const LayerProbe<Make>& probe_;
  std::string scalar_;
  LawReport& report_;
  Matrix<S> x_, dy_;
  L layer_;
  double rounding_;
  LayerPass<S> plain_;
};

}  // namespace selgate::detail
