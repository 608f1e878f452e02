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

enum class Fault {
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
  loses_regularization,
  forward_flops,
  backward_flops,
  input_flops
};

/// Dense, right except for one fault.
template <class S>
struct Faulty {
  using Scalar = S;
  using Gradient = Faulty;
  struct Cache {
    typename Dense<S>::Cache dense;
    S last_sum{};
  };

  Faulty(std::shared_ptr<Dense<S>> d, Fault f) : dense(std::move(d)), fault(f) {}
  Faulty(const Faulty& other)
      : dense(other.fault == Fault::shares_parameters ? other.dense
                                                      : std::make_shared<Dense<S>>(*other.dense)),
        fault(other.fault),
        name(other.name),
        touched(other.touched) {}
  Faulty& operator=(Faulty other) {
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
    if (fault == Fault::misnames_gradient) gradient.name = "gradient";
    return gradient;
  }

  void forward(const Context& context, const In<S>& x, Out<S> y, Cache& cache) const {
    const Matrix<S> before = y;
    dense->forward(context, x, y, cache.dense);
    if (fault == Fault::adds_to_y) y += before;
    if (fault == Fault::mixes_examples && y.cols() > 1) y.col(0).swap(y.col(1));
    if (fault == Fault::ignores_strides) {
      const Matrix<S> whole = y;
      std::copy_n(whole.data(), whole.size(), y.data());
    }
    if (fault == Fault::remembers_examples) {
      y.array() += cache.last_sum;
      cache.last_sum = x.sum();
    }
  }

  void backward(const Context& context, const In<S>& x, const In<S>& y, const In<S>& dy, Out<S> dx,
                Gradient& gradient, Cache& cache) const {
    if (fault == Fault::accepts_any_dy && dy.cols() != x.cols()) return;
    if (fault != Fault::forgets_to_touch) gradient.touched.insert(0);
    if (fault == Fault::sets_gradient) *gradient.dense = zeros_like(*gradient.dense);
    if (fault == Fault::sets_dx) dx.setZero();
    const bool wants_dx = fault != Fault::forgets_dx && wanted(dx);
    const Vector<S> bias_before = gradient.dense->bias;
    dense->backward(context, x, y, dy, wants_dx ? dx : not_wanted<S>(), *gradient.dense,
                    cache.dense);
    auto bias_gradient = [&] { return gradient.dense->bias - bias_before; };
    if (fault == Fault::sign_of_bias) gradient.dense->bias -= (S(2) * bias_gradient()).eval();
    if (fault == Fault::twice_the_bias) gradient.dense->bias += bias_gradient().eval();
    if (fault == Fault::needs_dx && !wants_dx) gradient.dense->bias = bias_before;
    if (fault == Fault::writes_outside && wants_dx && dx.outerStride() > dx.rows()) {
      dx.data()[dx.rows()] = S(0);
    }
    if (fault == Fault::divides_by_examples) {
      gradient.dense->bias *= static_cast<S>(x.cols()) / static_cast<S>(x.cols());
    }
    if (fault == Fault::imprecise_float && std::same_as<S, float>) {
      gradient.dense->bias += (S(1e-3) * bias_gradient()).eval();
    }
  }

  double regularization(const Context&, const Cache&) const {
    return fault == Fault::loses_regularization ? 1 : 0;
  }
  Flops flops(Index columns, const Cache& cache) const {
    Flops flops = dense->flops(columns, cache.dense);
    if (fault == Fault::forward_flops) ++flops.forward;
    if (fault == Fault::backward_flops) ++flops.backward;
    if (fault == Fault::input_flops) ++flops.input_gradient;
    return flops;
  }
  template <class F, class First, class... Rest>
  static void visit(F&& f, First& first, Rest&... rest) {
    for_each_block(f, first, 1,
                   [&](Index) { f(first.name, no_index, *first.dense, *rest.dense...); });
  }

  std::shared_ptr<Dense<S>> dense;
  Fault fault;
  const char* name = "";
  IndexSet touched{1};
};

LawReport check(Fault fault, LayerLawOptions options = {}) {
  return check_layer(
      [fault](auto scalar, Rng& rng) {
        using S = decltype(scalar);
        const DenseOptions dense{
            .in_features = 4, .out_features = 3, .activation = Activation::relu};
        return Faulty<S>(std::make_shared<Dense<S>>(dense, rng), fault);
      },
      options);
}

/// y = x with the regularization sum(x^2) / 2 * example_weight, a layer without parameters.
template <class S>
struct Ridge {
  using Scalar = S;
  using Gradient = Empty;
  struct Cache {
    S half_square{};
    Index columns = 0;
  };
  Index size;
  bool forgets = false;  // the derivative of the regularization

  Index in_features() const { return size; }
  Index out_features() const { return size; }
  Cache make_cache(Index) const { return {}; }
  Gradient make_gradient() const { return {}; }
  void forward(const Context&, const In<S>& x, Out<S> y, Cache& cache) const {
    require_forward_shapes(*this, "Ridge", x, y);
    y = x;
    cache.half_square = S(0);
    for (S value : x.reshaped()) cache.half_square += value * value * S(0.5);
  }
  void backward(const Context& context, const In<S>& x, const In<S>& y, const In<S>& dy, Out<S> dx,
                Gradient&, Cache&) const {
    require_backward_shapes(*this, "Ridge", x, y, dy, dx);
    if (!wanted(dx)) return;
    dx += dy;
    if (!forgets) dx += S(context.example_weight) * x;
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

LawReport check_ridge(bool forgets) {
  return check_layer(
      [forgets](auto scalar, Rng&) {
        return Ridge<decltype(scalar)>{3, forgets};
      },
      {});
}

}  // namespace

TEST_CASE("layer laws: hold for a right layer") {
  const LawReport report = check(Fault::none, {.batch = 3});
  INFO(report.failures());
  CHECK(report.ok());
}

TEST_CASE("layer laws: catch every fault by the law it breaks") {
  struct Example {
    Fault fault;
    const char* law;
  };
  const Example example = GENERATE(values<Example>({
      {Fault::adds_to_y, "forward sets"},
      {Fault::sign_of_bias, "exact gradient"},
      {Fault::sign_of_bias, "central differences"},
      {Fault::twice_the_bias, "exact gradient"},
      {Fault::twice_the_bias, "central differences"},
      {Fault::sets_gradient, "backward adds"},
      {Fault::sets_dx, "backward adds"},
      {Fault::forgets_dx, "exact gradient"},
      {Fault::forgets_dx, "flops: input gradient"},
      {Fault::needs_dx, "dx may be unwanted"},
      {Fault::mixes_examples, "batch = singles"},
      {Fault::remembers_examples, "partial batch"},
      {Fault::shares_parameters, "copies are independent"},
      {Fault::ignores_strides, "strided views"},
      {Fault::writes_outside, "strided views"},
      {Fault::divides_by_examples, "empty batch"},
      {Fault::forgets_to_touch, "set_zero clears"},
      {Fault::misnames_gradient, "gradient is a twin"},
      {Fault::accepts_any_dy, "shapes are checked"},
      {Fault::imprecise_float, "float gradient"},
      {Fault::loses_regularization, "regularization keeps its scalar"},
      {Fault::forward_flops, "flops: forward"},
      {Fault::backward_flops, "flops: backward"},
      {Fault::input_flops, "flops: input gradient"},
  }));
  const LawReport report = check(example.fault);
  INFO("law: " << example.law << "\nfailures:\n" << report.failures());
  CHECK(report.failed(example.law));
}

TEST_CASE("layer laws: a test at a kink says so") {
  // No noise, so all biases are 0, and so is all that ReLU sees.
  const LawReport report =
      check(Fault::none, {.input_low = 0, .input_high = 0, .parameter_noise = 0});
  CHECK(report.failed("kinks are rare"));
}

TEST_CASE("layer laws: regularization belongs to the gradient") {
  const LawReport right = check_ridge(false);
  INFO(right.failures());
  CHECK(right.ok());
  const LawReport wrong = check_ridge(true);
  CHECK(wrong.failed("exact gradient"));
  CHECK(wrong.failed("central differences"));
}

TEST_CASE("layer laws: bit-equal batches and the sample of coordinates are as asked") {
  CHECK(check(Fault::none, {.bit_equal_batches = true}).ok());
  CHECK(check(Fault::none, {.max_coordinates = 1}).ok());
  CHECK_THROWS_WITH(check(Fault::none, {.batch = 0}),
                    "LayerLawOptions: batch: expected >= 1, got 0");
}
