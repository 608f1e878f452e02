// SPDX-License-Identifier: MIT
#include <selgate/testing/layer_laws.hpp>

#include <selgate/core/index_set.hpp>
#include <selgate/layer/dense.hpp>

#include "catch.hpp"

#include <algorithm>
#include <memory>
#include <string>

using namespace selgate;

namespace {

enum class LayerFault {
  none,
  adds_to_y,
  sign_of_bias,
  twice_the_bias,
  sets_gradient,
  sets_dx,
  forgets_dx,
  needs_dx,
  mixes_examples,
  remembers_examples,
  shares_parameters,
  ignores_strides,
  writes_outside,
  divides_by_examples,
  forgets_to_touch,
  misnames_gradient,
  accepts_any_dy,
  imprecise_float,
  offset_in_float,
  offset_in_double,
  loses_regularization,
  forward_flops,
  backward_flops,
  input_flops
};

/// Dense, right except for one fault.
template <class S>
struct FaultyLayer {
  using Scalar = S;
  using Gradient = FaultyLayer;
  struct Cache {
    typename Dense<S>::Cache dense;
    S last_sum{};
  };

  FaultyLayer(std::shared_ptr<Dense<S>> d, LayerFault f) : dense(std::move(d)), fault(f) {}
  FaultyLayer(const FaultyLayer& other)
      : dense(other.fault == LayerFault::shares_parameters
                  ? other.dense
                  : std::make_shared<Dense<S>>(*other.dense)),
        fault(other.fault),
        name(other.name),
        touched(other.touched) {}
  FaultyLayer& operator=(FaultyLayer other) {
    dense = std::move(other.dense);
    fault = other.fault;
    name = other.name;
    touched = std::move(other.touched);
    return *this;
  }

  Index in_features() const { return dense->in_features(); }
  Index out_features() const { return dense->out_features(); }
  Cache make_cache(Index max_batch) const { return {dense->make_cache(max_batch), S(0)}; }
  Gradient make_gradient() const {
    Gradient gradient(std::make_shared<Dense<S>>(dense->make_gradient()), fault);
    if (fault == LayerFault::misnames_gradient) gradient.name = "gradient";
    return gradient;
  }

  void forward(const Context& context, const In<S>& x, Out<S> y, Cache& cache) const {
    const Matrix<S> before = y;
    dense->forward(context, x, y, cache.dense);
    if (fault == LayerFault::offset_in_float && std::same_as<S, float>) y.array() += S(1e-3);
    if (fault == LayerFault::offset_in_double && std::same_as<S, double>) y.array() += S(1e-3);
    if (fault == LayerFault::adds_to_y) y += before;
    if (fault == LayerFault::mixes_examples && y.cols() > 1) y.col(0).swap(y.col(1));
    if (fault == LayerFault::ignores_strides) {
      const Matrix<S> whole = y;
      std::copy_n(whole.data(), whole.size(), y.data());
    }
    if (fault == LayerFault::remembers_examples) {
      y.array() += cache.last_sum;
      cache.last_sum = x.sum();
    }
  }

  void backward(const Context& context, const In<S>& x, const In<S>& y, const In<S>& dy, Out<S> dx,
                Gradient& gradient, Cache& cache) const {
    if (fault == LayerFault::accepts_any_dy && dy.cols() != x.cols()) return;
    if (fault != LayerFault::forgets_to_touch) gradient.touched.insert(0);
    if (fault == LayerFault::sets_gradient) *gradient.dense = zeros_like(*gradient.dense);
    if (fault == LayerFault::sets_dx) dx.setZero();
    const bool wants_dx = fault != LayerFault::forgets_dx && wanted(dx);
    const Vector<S> bias_before = gradient.dense->bias;
    dense->backward(context, x, y, dy, wants_dx ? dx : not_wanted<S>(), *gradient.dense,
                    cache.dense);
    auto bias_gradient = [&] { return gradient.dense->bias - bias_before; };
    if (fault == LayerFault::sign_of_bias) gradient.dense->bias -= (S(2) * bias_gradient()).eval();
    if (fault == LayerFault::twice_the_bias) gradient.dense->bias += bias_gradient().eval();
    if (fault == LayerFault::needs_dx && !wants_dx) gradient.dense->bias = bias_before;
    if (fault == LayerFault::writes_outside && wants_dx && dx.outerStride() > dx.rows()) {
      dx.data()[dx.rows()] = S(0);
    }
    if (fault == LayerFault::divides_by_examples) {
      gradient.dense->bias *= static_cast<S>(x.cols()) / static_cast<S>(x.cols());
    }
    if (fault == LayerFault::imprecise_float && std::same_as<S, float>) {
      gradient.dense->bias += (S(1e-3) * bias_gradient()).eval();
    }
  }

  double regularization(const Context&, const Cache&) const {
    return fault == LayerFault::loses_regularization ? 1 : 0;
  }
  Flops flops(Index columns, const Cache& cache) const {
    Flops flops = dense->flops(columns, cache.dense);
    if (fault == LayerFault::forward_flops) ++flops.forward;
    if (fault == LayerFault::backward_flops) ++flops.backward;
    if (fault == LayerFault::input_flops) ++flops.input_gradient;
    return flops;
  }
  template <class F, class First, class... Rest>
  static void visit(F&& f, First& first, Rest&... rest) {
    for_each_block(f, first, 1,
                   [&](Index) { f(first.name, no_index, *first.dense, *rest.dense...); });
  }

  std::shared_ptr<Dense<S>> dense;
  LayerFault fault;
  const char* name = "";
  IndexSet touched{1};
};

LawReport check(LayerFault fault, LayerLawOptions options = {}) {
  return check_layer(
      [fault](auto scalar, Rng& rng) {
        using S = decltype(scalar);
        const DenseOptions dense{
            .in_features = 4, .out_features = 3, .activation = Activation::relu};
        return FaultyLayer<S>(std::make_shared<Dense<S>>(dense, rng), fault);
      },
      options);
}

enum class RidgeFault { none, forgets_regularization, half_at_kink };

/// y = max(x, 0) with the regularization sum(x^2) / 2 * example_weight, a layer without parameters,
/// right except for one fault.
template <class S>
struct Ridge {
  using Scalar = S;
  using Gradient = Empty;
  struct Cache {
    S half_square{};
    Index columns = 0;
  };
  Index size;
  RidgeFault fault;

  Index in_features() const { return size; }
  Index out_features() const { return size; }
  Cache make_cache(Index) const { return {}; }
  Gradient make_gradient() const { return {}; }
  void forward(const Context&, const In<S>& x, Out<S> y, Cache& cache) const {
    require_forward_shapes(*this, "Ridge", x, y);
    y = x.cwiseMax(S(0));
    cache.half_square = S(0);
    for (S value : x.reshaped()) cache.half_square += value * value * S(0.5);
  }
  void backward(const Context& context, const In<S>& x, const In<S>& y, const In<S>& dy, Out<S> dx,
                Gradient&, Cache&) const {
    require_backward_shapes(*this, "Ridge", x, y, dy, dx);
    if (!wanted(dx)) return;
    const S at_kink(fault == RidgeFault::half_at_kink ? 0.5 : 0);
    dx += dy.binaryExpr(y, [&](S slope, S at) { return at > S(0) ? slope : at_kink; });
    if (fault != RidgeFault::forgets_regularization) dx += S(context.example_weight) * x;
  }
  accumulate_t<S> regularization(const Context& context, const Cache& cache) const {
    return static_cast<accumulate_t<S>>(cache.half_square) *
           accumulate_t<S>(context.example_weight);
  }
  Flops flops(Index columns, const Cache&) const {
    const Index entries = size * columns;
    return {.forward = 3 * entries, .backward = 0, .input_gradient = 3 * entries};
  }
  template <class F, class... M>
  static void visit(F&&, M&...) {}
};

LawReport check_ridge(RidgeFault fault, const LayerLawOptions& options = {}) {
  return check_layer(
      [fault](auto scalar, Rng&) {
        return Ridge<decltype(scalar)>{3, fault};
      },
      options);
}

}  // namespace

TEST_CASE("layer laws: hold for a right layer") {
  const LawReport report = check(LayerFault::none, {.batch = 3});
  INFO(report.failures());
  CHECK(report.ok());
}

TEST_CASE("layer laws: catch every fault by the law it breaks") {
  struct Example {
    LayerFault fault;
    const char* law;
  };
  const Example example = GENERATE(values<Example>({
      {LayerFault::adds_to_y, "forward sets"},
      {LayerFault::sign_of_bias, "exact gradient"},
      {LayerFault::sign_of_bias, "central differences"},
      {LayerFault::twice_the_bias, "exact gradient"},
      {LayerFault::twice_the_bias, "central differences"},
      {LayerFault::sets_gradient, "backward adds"},
      {LayerFault::sets_dx, "backward adds"},
      {LayerFault::forgets_dx, "exact gradient"},
      {LayerFault::forgets_dx, "flops: input gradient"},
      {LayerFault::needs_dx, "dx may be unwanted"},
      {LayerFault::mixes_examples, "batch = singles"},
      {LayerFault::remembers_examples, "partial batch"},
      {LayerFault::shares_parameters, "copies are independent"},
      {LayerFault::ignores_strides, "strided views"},
      {LayerFault::writes_outside, "strided views"},
      {LayerFault::divides_by_examples, "empty batch"},
      {LayerFault::forgets_to_touch, "set_zero clears"},
      {LayerFault::misnames_gradient, "gradient is a twin"},
      {LayerFault::accepts_any_dy, "shapes are checked"},
      {LayerFault::imprecise_float, "float gradient"},
      {LayerFault::imprecise_float, "fast = generic: backward"},
      {LayerFault::offset_in_float, "fast = generic: forward"},
      {LayerFault::offset_in_double, "fast = generic: forward"},
      {LayerFault::loses_regularization, "regularization keeps its scalar"},
      {LayerFault::forward_flops, "flops: forward"},
      {LayerFault::backward_flops, "flops: backward"},
      {LayerFault::input_flops, "flops: input gradient"},
  }));
  const LawReport report = check(example.fault);
  INFO("law: " << example.law << "\nfailures:\n" << report.failures());
  CHECK(report.failed(example.law));
}

TEST_CASE("layer laws: a test at a kink says so") {
  // No noise, so all biases are 0, and so is all that ReLU sees.
  const LawReport report =
      check(LayerFault::none, {.input_low = 0, .input_high = 0, .parameter_noise = 0});
  CHECK(report.failed("kinks are rare"));
}

TEST_CASE("layer laws: at a kink the derivative is that of one side") {
  const LayerLawOptions at_kink{.input_low = 0, .input_high = 0};
  CHECK(!check_ridge(RidgeFault::none, at_kink).failed("one-sided differences"));
  CHECK(check_ridge(RidgeFault::half_at_kink, at_kink).failed("one-sided differences"));
}

TEST_CASE("layer laws: regularization belongs to the gradient") {
  const LawReport right = check_ridge(RidgeFault::none);
  INFO(right.failures());
  CHECK(right.ok());
  const LawReport wrong = check_ridge(RidgeFault::forgets_regularization);
  CHECK(wrong.failed("exact gradient"));
  CHECK(wrong.failed("central differences"));
}

TEST_CASE("layer laws: bit-equal batches and the sample of coordinates are as asked") {
  CHECK(check(LayerFault::none, {.bit_equal_batches = true}).ok());
  CHECK(check(LayerFault::none, {.max_coordinates = 1}).ok());
  CHECK_THROWS_WITH(check(LayerFault::none, {.batch = 0}),
                    "LayerLawOptions: batch: expected >= 1, got 0");
}
