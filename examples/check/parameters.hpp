// SPDX-License-Identifier: MIT
#pragma once

#include "case_options.hpp"
#include "case_result.hpp"

#include <selgate/gate/dselect_k_import.hpp>

#include <concepts>
#include <string>
#include <vector>

namespace selgate::examples {

/// A block of parameters, or of a gradient, under its name in a file.
template <class S>
struct NamedLeaf {
  std::string name;
  Leaf<S> leaf;
};

/// "expert0.weight" for the library's "experts.0.weight". The names of a gate alone have no dot and
/// are the same.
inline std::string name_in_file(const std::string& path) {
  const std::size_t dot = path.find('.');
  return dot == path.npos ? path : path.substr(0, dot - 1) + path.substr(dot + 1);
}

/// All parameters of a module, or all blocks of its gradient.
template <class S, class M>
std::vector<NamedLeaf<S>> named_leaves(M& module) {
  std::vector<NamedLeaf<S>> leaves;
  for_each_named_leaf(
      [&](const std::string& path, const Leaf<S>& leaf) {
        leaves.push_back({name_in_file(path), leaf});
      },
      module);
  return leaves;
}

/// Sets parameters from those that the file calls `prefix + name`.
template <class S>
void read_parameters(const JsonField& params, const std::string& prefix,
                     const std::vector<NamedLeaf<S>>& leaves) {
  for (const auto& [name, leaf] : leaves) {
    const std::vector<double> values = params.at(prefix + name).numbers(leaf.shape);
    for (std::size_t i = 0; i < values.size(); ++i) leaf.data[i] = static_cast<S>(values[i]);
  }
}

/// Refuses names that no parameter has: misspelt, or those of another gate.
template <class S>
void require_known_names(const JsonField& params, const std::vector<NamedLeaf<S>>& leaves) {
  std::vector<std::string> names;
  for (const NamedLeaf<S>& leaf : leaves) names.push_back(leaf.name);
  params.require_keys(names);
}

/// Compares the gradient by each parameter and, unless 0 x B, that by the examples.
template <class S>
void compare_gradients(const JsonField& gradients, const std::vector<NamedLeaf<S>>& gradient,
                       const Matrix<S>& dx, CaseResult& result) {
  for (const NamedLeaf<S>& block : gradient) {
    result.compare("gradients." + block.name, gradients.at(block.name).numbers(block.leaf.shape),
                   [&](std::size_t i) { return block.leaf.data[i]; });
  }
  if (dx.size() == 0) return;
  result.compare("gradients.x", gradients.at("x").numbers({dx.cols(), dx.rows()}),
                 [&](std::size_t i) { return dx.data()[i]; });
}

/// Turns the bits of a DSelect-k bank, or of its gradient, into the file's order or back.
template <class Head, class Bank>
void match_bit_order(const JsonField& options, Bank& bank) {
  if constexpr (std::same_as<typename Head::Options, DSelectKOptions>) {
    if (one_of_or_first(options.at("bit_order"), bit_orders)) reverse_bit_order(bank);
  }
}

}  // namespace selgate::examples
