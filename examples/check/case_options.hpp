// SPDX-License-Identifier: MIT
#pragma once

#include "json_field.hpp"

#include <selgate/gate/gate.hpp>
#include <selgate/loss/loss.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

namespace selgate::examples {

enum class GateKind { softmax, top_k, dselect_k, softmax_selector };

// The words of the files. Where a list has a default, it is the first.
inline constexpr std::array<Choice<GateKind>, 4> gate_kinds{
    {{"softmax", GateKind::softmax},
     {"top_k", GateKind::top_k},
     {"dselect_k", GateKind::dselect_k},
     {"softmax_selector", GateKind::softmax_selector}}};
inline constexpr std::array<Choice<Entropy>, 3> entropies{
    {{"all_codes", Entropy::all_codes},
     {"reachable", Entropy::reachable},
     {"renormalised", Entropy::renormalised}}};
inline constexpr std::array<Choice<SpareCodes>, 3> spare_codes{
    {{"penalty", SpareCodes::penalty},
     {"fold", SpareCodes::fold},
     {"renormalise", SpareCodes::renormalise}}};
inline constexpr std::array<Choice<TopKOrder>, 2> top_k_orders{
    {{"softmax_of_kept", TopKOrder::softmax_of_kept},
     {"kept_of_softmax", TopKOrder::kept_of_softmax}}};
/// Whether the most significant bit comes first.
inline constexpr std::array<Choice<bool>, 2> bit_orders{{{"lsb", false}, {"msb", true}}};

template <class T, std::size_t N>
T one_of_or_first(const JsonField& field, const std::array<Choice<T>, N>& choices) {
  return field.is_missing() ? choices[0].second : field.one_of(choices);
}

inline Index read_num_experts(const JsonField& options) {
  return options.at("n").integer(1, std::numeric_limits<std::int32_t>::max());
}

inline void read_options(const JsonField&, SoftmaxOptions&) {}
inline void read_options(const JsonField& options, TopKOptions& to) {
  to.k = options.at("k").integer(1, to.num_experts);
  to.order = one_of_or_first(options.at("order"), top_k_orders);
}
inline void read_options(const JsonField& options, DSelectKOptions& to) {
  to.k = options.at("k").integer(1, to.num_experts);
  to.gamma = options.at("gamma").positive();
  to.entropy_weight = options.at("lambda").not_negative();
  to.penalty_weight = options.at("xi").not_negative();
  to.entropy = one_of_or_first(options.at("entropy"), entropies);
  to.spare_codes = one_of_or_first(options.at("codes"), spare_codes);
}
inline void read_options(const JsonField& options, SoftmaxSelectorOptions& to) {
  to.k = options.at("k").integer(1, to.num_experts);
  to.temperature = options.at("temperature").positive();
  to.entropy_weight = options.at("lambda").not_negative();
}

/// Options of a gate with this head over examples of so many features.
template <class Head>
typename Head::Options head_options(const JsonField& options, Index in_features) {
  typename Head::Options head;
  head.in_features = in_features;
  head.num_experts = read_num_experts(options);
  read_options(options, head);
  return head;
}

template <class S>
Loss<S> read_loss(const JsonField& name) {
  constexpr std::array<Choice<bool>, 2> losses{
      {{"squared_error", false}, {"binary_cross_entropy", true}}};
  if (name.one_of(losses)) return BinaryCrossEntropy<S>{};
  return SquaredError<S>{};
}

/// Numbers of a file as features x batch: [B][p] is the same sequence.
template <class S>
Matrix<S> as_matrix(const std::vector<double>& values, Index rows, Index cols) {
  return Eigen::Map<const Matrix<double>>(values.data(), rows, cols).template cast<S>();
}

/// The examples, p x B.
template <class S>
Matrix<S> read_examples(const JsonField& x) {
  if (x.length() == 0) x.refuse("at least one example");
  if (x.item(0).length() == 0) x.item(0).refuse("at least one feature");
  const Index batch = x.length(), features = x.item(0).length();
  return as_matrix<S>(x.numbers({batch, features}), features, batch);
}

}  // namespace selgate::examples
