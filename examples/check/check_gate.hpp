// SPDX-License-Identifier: MIT
#pragma once

#include "parameters.hpp"

#include <map>
#include <type_traits>

namespace selgate::examples {

/// Every regularizer that a file may name, of one gate: summed over its selectors, mean over the
/// batch, not weighted but for `total`.
template <class Map, class Head, class S>
std::map<std::string, double> regularizers(const Gate<Map, Head>& gate, const Context& context,
                                           const Matrix<S>& x) {
  using Options = typename Head::Options;
  const Options& options = gate.head().options();
  auto value_with = [&](const Options& other) {
    const Gate<Map, Head> same(gate.map(), Head(other));
    auto cache = same.make_cache(x.cols());
    auto weights = same.make_output(x.cols());
    same.forward(context, x, weights, cache);
    return same.regularization(context, cache);
  };
  std::map<std::string, double> values = {{"total", value_with(options)}};
  if constexpr (std::same_as<Options, DSelectKOptions>) {
    Options entropy = options;
    entropy.entropy_weight = 1;
    entropy.penalty_weight = 0;
    values["entropy"] = value_with(entropy);
    for (const auto& [word, kind] : entropies) {
      entropy.entropy = kind;
      values[std::string("entropy_") + word] = value_with(entropy);
    }
    Options penalty = options;
    penalty.spare_codes = SpareCodes::penalty;
    penalty.entropy_weight = 0;
    penalty.penalty_weight = 1;
    // Without spare codes the gate has no such term, for every selector's mass is 1.
    const bool has_term = !is_power_of_two(options.num_experts);
    values["inverse_mass"] = has_term ? value_with(penalty) : static_cast<double>(options.k);
  } else if constexpr (std::same_as<Options, SoftmaxSelectorOptions>) {
    Options entropy = options;
    entropy.entropy_weight = 1;
    values["entropy"] = value_with(entropy);
  }
  return values;
}

/// Compares the regularizers that the file gives, `total` at least, with those of one gate or,
/// where the shape is a list, of several.
inline void compare_regularizers(const JsonField& field, const Shape& shape,
                                 const std::vector<std::map<std::string, double>>& of_gates,
                                 CaseResult& result) {
  std::vector<std::string> names;
  for (const auto& [name, value] : of_gates.front()) names.push_back(name);
  field.require_keys(names);
  for (const std::string& name : names) {
    if (field.at(name).is_missing() && name != "total") continue;
    result.compare("regularizers." + name, field.at(name).numbers(shape),
                   [&](std::size_t gate) { return of_gates[gate].at(name); });
  }
}

/// The gate whose parameters the file calls `prefix + name`, in the library's bit order.
template <class Map, class Head>
Gate<Map, Head> read_gate(const JsonField& file, const std::string& prefix, Index in_features) {
  Rng rng;
  Gate<Map, Head> gate(head_options<Head>(file.at("options"), in_features), rng);
  read_parameters(file.at("params"), prefix, named_leaves<typename Head::Scalar>(gate));
  match_bit_order<Head>(file.at("options"), gate);
  return gate;
}

/// A file of one gate: its weights, the objective sum(upstream .* weights) + regularizers and all
/// of its gradients. A static gate has no examples and one column of weights.
template <class Map, class Head>
void check_gate(const JsonField& file, Storage storage, CaseResult& result) {
  using S = typename Head::Scalar;
  constexpr bool is_static = Gate<Map, Head>::is_static;
  if (is_static && !file.at("x").is_missing() && !file.at("x").is_null()) {
    file.at("x").refuse("null (a static gate reads no examples)");
  }
  const Matrix<S> x = is_static ? Matrix<S>(0, 1) : read_examples<S>(file.at("x"));
  const JsonField options = file.at("options");
  const Index n = read_num_experts(options);
  const Shape shape = is_static ? Shape{n} : Shape{x.cols(), n};
  const std::vector<double> reference = file.at("weights").numbers(shape);
  const Matrix<S> upstream =
      as_matrix<S>(file.at("upstream").numbers(shape), n, is_static ? 1 : x.cols());

  auto gate = read_gate<Map, Head>(file, "", x.rows());
  require_known_names(file.at("params"), named_leaves<S>(gate));

  const Context context = training(x.cols());
  auto cache = gate.make_cache(x.cols());
  auto weights = gate.make_output(x.cols(), storage), dweights = weights;
  gate.forward(context, x, weights, cache);
  const Matrix<S> dense = weights.to_dense();
  result.compare("weights", reference, [&](std::size_t i) { return dense.data()[i]; });
  compare_regularizers(file.at("regularizers"), {}, {regularizers(gate, context, x)}, result);

  accumulate_t<S> objective(gate.regularization(context, cache));
  dweights.zero_like(weights);  // with values in the support alone
  for (Index c = 0; c < dense.cols(); ++c) {
    for (Index e = 0; e < n; ++e) {
      objective += accumulate_t<S>(upstream(e, c)) * accumulate_t<S>(dense(e, c));
      if (dense(e, c) != S(0)) dweights.weight_ref(e, c) = upstream(e, c);
    }
  }
  result.compare("objective", file.at("objective").numbers({}),
                 [&](std::size_t) { return objective; });

  Matrix<S> dx = Matrix<S>::Zero(x.rows(), x.cols());
  auto gradient = gate.make_gradient();
  gate.backward(context, x, weights, dweights, dx, gradient, cache);
  match_bit_order<Head>(options, gradient);
  compare_gradients(file.at("gradients"), named_leaves<S>(gradient), dx, result);
}

/// Calls f(std::type_identity<Map>, std::type_identity<Head>) with the types of a file's gate.
template <class S, class F>
void with_gate_types(const JsonField& file, const F& f) {
  const bool is_static = file.at("options").at("static").boolean();
  auto with_head = [&]<class Head>(std::type_identity<Head> head) {
    if (is_static) {
      f(std::type_identity<StaticMap<S>>{}, head);
    } else {
      f(std::type_identity<Dense<S>>{}, head);
    }
  };
  switch (file.at("gate").one_of(gate_kinds)) {
    case GateKind::softmax:
      with_head(std::type_identity<SoftmaxHead<S>>{});
      break;
    case GateKind::top_k:
      with_head(std::type_identity<TopKHead<S>>{});
      break;
    case GateKind::dselect_k:
      with_head(std::type_identity<DSelectKHead<S>>{});
      break;
    case GateKind::softmax_selector:
      with_head(std::type_identity<SoftmaxSelectorHead<S>>{});
      break;
  }
}

}  // namespace selgate::examples
