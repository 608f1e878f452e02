// SPDX-License-Identifier: MIT
#pragma once

#include <selgate/core/concepts.hpp>
#include <selgate/core/random.hpp>
#include <selgate/math/kernel/pack.hpp>

#include <algorithm>
#include <cstdint>
#include <limits>
#include <string>
#include <type_traits>
#include <vector>

namespace selgate {

struct LayerLawOptions {
  Index batch = 5;  // >= 1
  /// At least so many examples where float and double are run, whose kernels then fill their lanes.
  Index wide_batch = 2 * kernel::lane_count<float> + 1;
  std::uint64_t seed = 1;
  Mode mode = Mode::train;
  double input_low = -1, input_high = 1;  // inputs are uniform in between
  double parameter_noise = 0.1;           // >= 0: U(+-) on every parameter, so that zeros take part
  double exact_tolerance = 1e-13;         // all relative to max(1, |expected|)
  double difference_tolerance = 1e-8;
  double float_tolerance = 1e-5;
  bool bit_equal_batches = false;  // an example alone must have the bits that it has in a batch
  Index max_coordinates = 1000;    // >= 1: derivatives checked one by one; of more, a sample
};

namespace detail {

inline LayerLawOptions wide(LayerLawOptions options) {
  options.batch = std::max(options.batch, options.wide_batch);
  return options;
}

/// What a forward and a backward pass produced.
template <class S>
struct LayerPass {
  Matrix<S> y, dx;
  Vector<S> gradient;  // packed

  /// By all coordinates: the parameters, then x.
  [[nodiscard]] Vector<S> derivatives() const {
    Vector<S> all(gradient.size() + dx.size());
    all << gradient, dx.reshaped();
    return all;
  }
};

/// How the buffers look before a pass, and what is asked of it.
struct PassOptions {
  double y_before = std::numeric_limits<double>::quiet_NaN();
  double gradient_before = 0;  // and dx
  bool dx_wanted = true;
  int backwards = 1;
};

/// One layer type at one point. Parameters, x and dy are rounded to float, so that the layer can be
/// run in any scalar on exactly the same numbers.
template <class Make>
class LayerProbe {
 public:
  template <class S>
  using LayerOf = std::invoke_result_t<const Make&, S, Rng&>;

  LayerProbe(const Make& make, const LayerLawOptions& options)
      : make_(make), options_(options), context_(training(options.batch, options.seed)) {
    require(options.batch >= 1, "LayerLawOptions: batch", ">= 1", options.batch);
    context_.mode = options.mode;
    Rng rng(options.seed + 1);
    auto draw = [&](Index rows, Index cols, double low, double high) {
      return Matrix<float>(uniform<float>(rows, cols, rng, low, high))
          .template cast<double>()
          .eval();
    };
    const auto model = make_new<double>();
    parameters_ = pack<float>(model).template cast<double>() +
                  draw(num_parameters(model), 1, -options.parameter_noise, options.parameter_noise);
    parameters_ = parameters_.template cast<float>().template cast<double>().eval();
    x_ = draw(model.in_features(), options.batch, options.input_low, options.input_high);
    dy_ = draw(model.out_features(), options.batch, -1, 1);
    for_each_named_leaf(
        [&](const std::string& path, const auto& leaf) {
          for (Index i = 0; i < leaf.size(); ++i) names_.push_back(path + "[" + to_text(i) + "]");
        },
        model);
    for (Index i = 0; i < x_.size(); ++i) names_.push_back(entry("x", x_.rows(), i));
  }

  [[nodiscard]] const LayerLawOptions& options() const { return options_; }
  [[nodiscard]] const Context& context() const { return context_; }
  [[nodiscard]] const Vector<double>& parameters() const { return parameters_; }
  template <class S>
  Matrix<S> x() const {
    return x_.template cast<S>();
  }
  template <class S>
  Matrix<S> dy() const {
    return dy_.template cast<S>();
  }
  /// 4 p eps with p the longest sum at the layer's door.
  template <class S>
  [[nodiscard]] double rounding() const {
    return 4 * static_cast<double>(std::numeric_limits<S>::epsilon()) *
           static_cast<double>(std::max({x_.rows(), x_.cols(), dy_.rows()}));
  }
  /// Of coordinate i: the parameters, then x.
  [[nodiscard]] const std::string& name(Index i) const {
    return names_[static_cast<std::size_t>(i)];
  }
  static std::string entry(const char* what, Index rows, Index i) {
    return std::string(what) + "(" + to_text(i % rows) + ", " + to_text(i / rows) + ")";
  }

  template <class S>
  LayerOf<S> layer() const {
    LayerOf<S> made = make_new<S>();
    unpack(Vector<S>(parameters_.template cast<S>()), made);
    return made;
  }

  template <class L, class S = typename L::Scalar>
  LayerPass<S> pass(const L& layer, const Context& context, const Matrix<S>& x, const Matrix<S>& dy,
                    typename L::Cache& cache, const PassOptions& options = {}) const {
    const S before = static_cast<S>(options.gradient_before);
    LayerPass<S> result;
    result.y.setConstant(layer.out_features(), x.cols(), static_cast<S>(options.y_before));
    result.dx.setConstant(layer.in_features(), x.cols(), before);
    auto gradient = layer.make_gradient();
    for_each_leaf([&](const auto& leaf) { leaf.array().setConstant(before); }, gradient);
    layer.forward(context, x, result.y, cache);
    for (int i = 0; i < options.backwards; ++i) {
      layer.backward(context, x, result.y, dy,
                     options.dx_wanted ? Out<S>(result.dx) : not_wanted<S>(), gradient, cache);
    }
    result.gradient = pack<S>(gradient);
    return result;
  }

 private:
  template <class S>
  LayerOf<S> make_new() const {
    Rng rng(options_.seed);
    return make_(S{}, rng);
  }

  const Make& make_;
  LayerLawOptions options_;
  Context context_;
  Vector<double> parameters_;
  Matrix<double> x_, dy_;
  std::vector<std::string> names_;
};

}  // namespace detail
}  // namespace selgate
