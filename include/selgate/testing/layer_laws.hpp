// SPDX-License-Identifier: MIT
#pragma once

#include <selgate/testing/counted.hpp>
#include <selgate/testing/gradient_check.hpp>
#include <selgate/testing/layer_contract.hpp>
#include <selgate/testing/layer_probe.hpp>
#include <selgate/testing/report.hpp>
#include <selgate/testing/state_laws.hpp>

#include <algorithm>
#include <array>
#include <concepts>
#include <cstdint>
#include <limits>
#include <string>
#include <utility>
#include <vector>

namespace selgate {
namespace detail {

/// Model and gradient have the same leaves in the same order, by name and shape.
template <class Make>
void check_layer_walk(const LayerProbe<Make>& probe, LawReport& report) {
  auto leaves = [](const auto& module) {
    std::vector<std::pair<std::string, Shape>> list;
    for_each_named_leaf(
        [&](const std::string& path, const auto& leaf) { list.emplace_back(path, leaf.shape); },
        module);
    return list;
  };
  const auto layer = probe.template layer<double>();
  report.add("gradient is a twin", leaves(layer) == leaves(layer.make_gradient()),
             "names or shapes of the leaves");
}

/// Each argument of a wrong size is refused by shape_error.
template <class Make>
void check_layer_shapes(const LayerProbe<Make>& probe, LawReport& report) {
  constexpr std::array names{"rows of x",     "rows of y",  "columns of y", "rows of dy",
                             "columns of dy", "rows of dx", "columns of dx"};
  constexpr std::size_t of_forward = 3;
  const auto layer = probe.template layer<double>();
  const Index in = layer.in_features(), out = layer.out_features(), batch = probe.options().batch;
  auto cache = layer.make_cache(batch + 1);
  auto gradient = layer.make_gradient();
  for (std::size_t wrong = 0; wrong < names.size(); ++wrong) {
    std::array<Index, names.size()> extra{};
    extra[wrong] = 1;
    const Matrix<double> x = Matrix<double>::Zero(in + extra[0], batch);
    Matrix<double> y = Matrix<double>::Zero(out + extra[1], batch + extra[2]);
    const Matrix<double> dy = Matrix<double>::Zero(out + extra[3], batch + extra[4]);
    Matrix<double> dx = Matrix<double>::Zero(in + extra[5], batch + extra[6]);
    auto refused = [&](const char* which, const auto& run) {
      bool thrown = false;
      try {
        run();
      } catch (const shape_error&) {
        thrown = true;
      }
      report.add("shapes are checked", thrown, std::string(which) + ": " + names[wrong]);
    };
    if (wrong < of_forward)
      refused("forward", [&] { layer.forward(probe.context(), x, y, cache); });
    refused("backward", [&] { layer.backward(probe.context(), x, y, dy, dx, gradient, cache); });
  }
}

/// Of the coordinates 0..size-1 all, or a sample of max_count.
inline std::vector<Index> sample_coordinates(Index size, const LayerLawOptions& options) {
  Rng rng(options.seed + 2);
  std::vector<Index> coordinates = rng.permutation(size);
  if (size > options.max_coordinates) {
    coordinates.resize(static_cast<std::size_t>(options.max_coordinates));
  }
  return coordinates;
}

/// float and double, which have kernels of their own, against a scalar that has none: y to 4 p eps
/// (p terms in the longest sum at the layer's door), the derivatives to at least 16 eps; and to as
/// many times more as a steep layer's float_tolerance is above the usual one.
template <class Make>
void check_layer_kernels(const LayerProbe<Make>& probe, LawReport& report) {
  auto pass = [&]<class S>(S) {
    const auto layer = probe.template layer<S>();
    auto cache = layer.make_cache(probe.options().batch);
    return probe.pass(layer, probe.context(), probe.template x<S>(), probe.template dy<S>(), cache);
  };
  const LayerPass<Counted> generic = pass(Counted{});
  auto compare = [&]<class S>(S scalar, const std::string& name) {
    const LayerPass<S> result = pass(scalar);
    const double rounding = probe.template rounding<S>(),
                 few = 16 * static_cast<double>(std::numeric_limits<S>::epsilon()),
                 steep = std::max(1.0, probe.options().float_tolerance /
                                           LayerLawOptions{}.float_tolerance);
    auto entry = [&](Index i) { return name + ": " + probe.entry("y", generic.y.rows(), i); };
    auto derivative = [&](Index i) { return name + ": d/d" + probe.name(i); };
    report.compare<double>("fast = generic: forward", result.y.reshaped().template cast<double>(),
                           generic.y.reshaped().template cast<double>(), rounding, entry);
    report.compare<double>("fast = generic: backward", result.derivatives().template cast<double>(),
                           generic.derivatives().template cast<double>(),
                           steep * std::max(few, rounding), derivative);
  };
  compare(double{}, "double");
  compare(float{}, "float");
}

/// sum(dy .* y) + regularization of one layer as a function of its parameters and x, one after
/// another. In dual numbers it keeps what a regularization loses that is no dual number itself.
template <class Make>
class LayerObjective {
 public:
  explicit LayerObjective(const LayerProbe<Make>& probe)
      : probe_(probe), plain_(make<double>()), dual_(make<Dual<double>>()) {}

  template <class T>
  T operator()(const Vector<T>& at) {
    auto& [layer, cache, x, dy, y] = [this]() -> Run<T>& {
      if constexpr (std::same_as<T, double>) {
        return plain_;
      } else {
        return dual_;
      }
    }();
    unpack(at, layer);
    x.reshaped() = at.tail(x.size());
    layer.forward(probe_.context(), x, y, cache);
    const auto regularization = layer.regularization(probe_.context(), cache);
    if constexpr (std::same_as<T, Dual<double>> &&
                  !std::same_as<decltype(regularization), const T>) {
      lost_ = std::max(lost_, std::abs(static_cast<double>(regularization)));
    }
    T sum = static_cast<T>(regularization);
    for (Index i = 0; i < y.size(); ++i) sum += dy.data()[i] * y.data()[i];
    return sum;
  }
  [[nodiscard]] double lost_regularization() const { return lost_; }

 private:
  template <class T>
  struct Run {
    typename LayerProbe<Make>::template LayerOf<T> layer;
    typename LayerProbe<Make>::template LayerOf<T>::Cache cache;
    Matrix<T> x, dy, y;
  };
  template <class T>
  Run<T> make() const {
    auto layer = probe_.template layer<T>();
    auto cache = layer.make_cache(probe_.options().batch);
    const Matrix<T> dy = probe_.template dy<T>();
    return {std::move(layer), std::move(cache), probe_.template x<T>(), dy, dy};
  }

  const LayerProbe<Make>& probe_;
  Run<double> plain_;
  Run<Dual<double>> dual_;
  double lost_ = 0;
};

/// How far the one-sided quotients of a smooth function may be apart (relative to their mean).
inline constexpr double max_asymmetry = 1e-3;

/// The derivative of sum(dy .* y) + regularization by every parameter and input, three ways.
///
/// The laws cannot see where a layer has its boundaries (ReLU, max, top-k, the edges of a bit), nor
/// keep a distance. So the point is drawn at random, coordinates where a boundary lies within the
/// step (the one-sided quotients differ) must be few, and there the derivative is that of one of
/// the two sides: a point where one coordinate crosses several boundaries at once is no fair one.
template <class Make>
void check_layer_gradients(const LayerProbe<Make>& probe, LawReport& report) {
  const LayerLawOptions& options = probe.options();
  const Matrix<double> x = probe.template x<double>();
  Vector<double> point(probe.parameters().size() + x.size());
  point << probe.parameters(), x.reshaped();
  LayerObjective<Make> objective(probe);
  auto analytic = [&]<class S>(S) -> Vector<double> {
    const auto layer = probe.template layer<S>();
    auto cache = layer.make_cache(options.batch);
    return probe.pass(layer, probe.context(), probe.template x<S>(), probe.template dy<S>(), cache)
        .derivatives()
        .template cast<double>();
  };
  const Vector<double> in_double = analytic(double{});

  const std::vector<Index> coordinates = sample_coordinates(point.size(), options);
  std::vector<Index> smooth, kinks;
  std::vector<double> exact, differences, sides;
  double rounding = 0;
  for (Index i : coordinates) {
    exact.push_back(dual_derivative(objective, point, i));
    const Difference difference = central_difference(objective, point, i);
    if (difference.asymmetry <= max_asymmetry) {
      smooth.push_back(i);
      differences.push_back(difference.derivative);
      rounding = std::max(rounding, difference.rounding);
    } else {
      kinks.push_back(i);
      sides.push_back(difference.side_nearest(in_double[i]));
    }
  }
  auto compare = [&](const char* law, const std::vector<Index>& at,
                     const std::vector<double>& expected, double tolerance) {
    const Eigen::Map<const Vector<double>> values(expected.data(),
                                                  static_cast<Index>(expected.size()));
    report.compare<double>(law, in_double(at), values, tolerance, [&](Index i) {
      return "d/d" + probe.name(at[static_cast<std::size_t>(i)]);
    });
  };
  compare("exact gradient", coordinates, exact, options.exact_tolerance);
  compare("central differences", smooth, differences,
          std::max(options.difference_tolerance, 4 * rounding));
  compare("one-sided differences", kinks, sides, max_asymmetry);
  report.add(
      "kinks are rare", 10 * kinks.size() <= coordinates.size(),
      to_text(kinks.size()) + " of " + to_text(coordinates.size()) + " coordinates lie at one");
  report.compare<double>("float gradient", analytic(float{}), in_double, options.float_tolerance,
                         [&](Index i) { return "d/d" + probe.name(i); });
  report.add({"regularization keeps its scalar", objective.lost_regularization(), 0,
              "a dual number: return accumulate_t<Scalar>, not double"});
}

/// Stated = counted, pass by pass.
template <class Make>
void check_layer_flops(const LayerProbe<Make>& probe, LawReport& report) {
  const auto stating = probe.template layer<double>();
  auto stating_cache = stating.make_cache(probe.options().batch);
  probe.pass(stating, probe.context(), probe.template x<double>(), probe.template dy<double>(),
             stating_cache);
  const Flops stated = stating.flops(probe.options().batch, stating_cache);

  const auto layer = probe.template layer<Counted>();
  auto cache = layer.make_cache(probe.options().batch);
  const Matrix<Counted> x = probe.template x<Counted>(), dy = probe.template dy<Counted>();
  auto y = dy;
  auto dx = x;
  auto counted = [](const auto& run) {
    Counted::reset();
    run();
    return Counted::count();
  };
  auto backward = [&](Out<Counted> wanted_dx) {
    auto gradient = layer.make_gradient();
    return counted([&] { layer.backward(probe.context(), x, y, dy, wanted_dx, gradient, cache); });
  };
  const std::int64_t forward = counted([&] { layer.forward(probe.context(), x, y, cache); });
  const std::int64_t parameters_only = backward(not_wanted<Counted>());
  const std::int64_t both = backward(dx);
  auto compare = [&](const char* law, std::int64_t says, std::int64_t counts) {
    report.add(law, says == counts, "stated " + to_text(says) + ", counted " + to_text(counts));
  };
  compare("flops: forward", stated.forward, forward);
  compare("flops: backward", stated.backward, parameters_only);
  compare("flops: input gradient", stated.input_gradient, both - parameters_only);
}

/// All laws but those of the derivatives' values and of the stated operations.
template <class Make>
void check_layer_passes(const Make& make, const LayerLawOptions& options, LawReport& report) {
  const LayerProbe<Make> probe(make, options), wide_probe(make, wide(options));
  LayerContract<double, Make>(wide_probe, "double", report).check();
  LayerContract<float, Make>(wide_probe, "float", report).check();
  check_layer_walk(probe, report);
  check_layer_shapes(probe, report);
  check_layer_state(probe, report);
  check_layer_kernels(wide_probe, report);
}

}  // namespace detail

/// Checks every law of core/concepts.hpp on a layer of your own:
///
///     check_layer([](auto scalar, Rng& rng) {
///       return MyLayer<decltype(scalar)>({.in_features = 3}, rng);
///     }, {});
///
/// in float and double the contract (LayerContract), and between scalars: y and the gradient
/// against the generic template, the gradient against dual numbers and central differences too, the
/// stated operations against counted ones. Costs one forward pass in dual numbers for each of at
/// most max_coordinates parameters and inputs.
template <class Make>
LawReport check_layer(const Make& make, const LayerLawOptions& options = {}) {
  static_assert(Layer<std::invoke_result_t<const Make&, double, Rng&>>,
                "make(scalar, rng) must return a Layer, see selgate/core/concepts.hpp");
  LawReport report;
  detail::check_layer_passes(make, options, report);
  const detail::LayerProbe<Make> probe(make, options);
  detail::check_layer_gradients(probe, report);
  detail::check_layer_flops(probe, report);
  return report;
}

}  // namespace selgate
