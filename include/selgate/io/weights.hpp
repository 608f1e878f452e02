// SPDX-License-Identifier: MIT
#pragma once

#include <selgate/core/visit.hpp>
#include <selgate/io/file.hpp>
#include <selgate/io/safetensors_file.hpp>
#include <selgate/io/state.hpp>

#include <bit>
#include <cmath>
#include <concepts>
#include <filesystem>
#include <map>
#include <string>
#include <type_traits>
#include <vector>

namespace selgate {

static_assert(std::endian::native == std::endian::little,
              "selgate: weights files are written and read on little-endian machines");

struct LoadOptions {
  bool convert = false;          // F32 into a model of double, F64 rounded into one of float
  bool allow_nonfinite = false;  // infinities and NaN among the values
};

/// Writes the parameters of a model as a safetensors file: one tensor for each leaf, named by its
/// path ("experts.3.weight"), outputs first, in the order of visit. What else may move (a head's
/// gamma, temperature, k, whether it is hardened) is in the file's metadata, by names that begin
/// with "selgate.". The options of a model are not; `metadata` (UTF-8) is the place for what the
/// caller wants to know again.
/// Equal models and metadata give equal bytes. The old file is replaced as AtomicFile says: on an
/// error it is untouched. Throws io_error, and config_error for names or metadata that no file can
/// hold or that are ours.
template <class M>
void save_weights(const std::filesystem::path& path, const M& model,
                  const std::map<std::string, std::string>& metadata = {}) {
  SafetensorsHeader header{.metadata = metadata, .tensors = {}};
  for (const auto& entry : metadata) {
    require(!detail::is_state(entry), "weights: key of the metadata", "none under \"selgate.\"",
            detail::shown(entry.first));
  }
  detail::add_state(model, header.metadata);
  for_each_named_leaf(
      [&](const std::string& name, const auto& leaf) {
        using S = std::remove_cvref_t<decltype(*leaf.data)>;
        const std::uint64_t begin = header.data_size();
        const std::uint64_t end = begin + static_cast<std::uint64_t>(leaf.size()) * sizeof(S);
        header.tensors.push_back({name, dtype_of<S>(), leaf.shape, begin, end});
      },
      model);
  const std::string text = detail::header_text(header);
  const std::uint64_t length = text.size();
  AtomicFile file(path);
  file.write(&length, sizeof length);
  file.write(text.data(), text.size());
  for_each_named_leaf(
      [&](const std::string&, const auto& leaf) {
        file.write(leaf.data, static_cast<std::size_t>(leaf.size()) * sizeof(*leaf.data));
      },
      model);
  file.commit();
}

namespace detail {

/// "3: "a", "b" and 1 more".
inline std::string names_text(const std::vector<std::string>& names) {
  constexpr std::size_t most = 8;
  std::string text = to_text(names.size());
  for (std::size_t i = 0; i < names.size() && i < most; ++i) {
    text += (i == 0 ? ": " : ", ") + shown(names[i]);
  }
  if (names.size() > most) text += " and " + to_text(names.size() - most) + " more";
  return text;
}

/// The file's tensor for each leaf, in the order of visit, once names, shapes and types agree.
template <class M>
std::vector<const Tensor*> match(const SafetensorsFile& file, const M& model,
                                 const LoadOptions& options) {
  std::map<std::string, const Tensor*> in_file;
  for (const Tensor& tensor : file.header().tensors) in_file[tensor.name] = &tensor;
  std::vector<const Tensor*> matched;
  std::vector<std::string> missing, unexpected;
  for_each_named_leaf(
      [&](const std::string& name, const auto&) {
        const auto found = in_file.find(name);
        if (found == in_file.end()) {
          missing.push_back(name);
        } else {
          matched.push_back(found->second);
          in_file.erase(found);
        }
      },
      model);
  for (const auto& [name, tensor] : in_file) unexpected.push_back(name);
  if (!missing.empty() || !unexpected.empty()) {
    file.refuse(8, "tensors", "those of the model",
                "missing " + names_text(missing) + "; unexpected " + names_text(unexpected));
  }
  std::size_t i = 0;
  for_each_named_leaf(
      [&](const std::string&, const auto& leaf) {
        const Tensor& tensor = *matched[i++];
        const Dtype dtype = dtype_of<std::remove_cvref_t<decltype(*leaf.data)>>();
        const std::string what = "tensor " + shown(tensor.name);
        if (tensor.shape != leaf.shape) {
          file.refuse(tensor.header_byte, what + ": shape", shape_text(leaf.shape),
                      shape_text(tensor.shape));
        }
        if (tensor.dtype != dtype && !options.convert) {
          file.refuse(tensor.header_byte, what + ": dtype",
                      std::string(name_of(dtype)) + " (or LoadOptions::convert)",
                      name_of(tensor.dtype));
        }
      },
      model);
  return matched;
}

/// Reads a tensor of scalars `Stored` into a leaf of its shape.
template <class Stored, class S>
void read_values(const SafetensorsFile& file, const Tensor& tensor, const Leaf<S>& leaf,
                 const LoadOptions& options) {
  const auto count = static_cast<std::size_t>(leaf.size());
  std::vector<Stored> converted;
  const Stored* stored = nullptr;
  if constexpr (std::same_as<Stored, S>) {
    file.read(tensor, leaf.data);
    stored = leaf.data;
  } else {
    converted.resize(count);
    file.read(tensor, converted.data());
    stored = converted.data();
  }
  for (std::size_t i = 0; i < count; ++i) {
    const S value = static_cast<S>(stored[i]);
    if (!std::isfinite(value) && (std::isfinite(stored[i]) || !options.allow_nonfinite)) {
      file.refuse(file.data_byte(tensor) + i * sizeof(Stored),
                  "tensor " + shown(tensor.name) + ": element " + to_text(i),
                  std::string("a finite number in ") + name_of(dtype_of<S>()), to_text(stored[i]));
    }
    leaf.data[i] = value;
  }
}

}  // namespace detail

/// Reads the parameters of a model of the same structure and options, and what else may have moved.
/// All of the file is checked against the model and read aside first: on an error the model is as
/// before. The loaded model computes the same bits as the saved one; where a file, of another
/// program, says nothing of gamma and the like, they stay. Throws io_error, and checkpoint_error
/// (with the byte, the tensor or key, what was expected and what was found) for a file that is
/// damaged or of another model: a tensor missing or too many, another shape, another type (see
/// LoadOptions), a value that is not finite, a gamma that no head takes.
/// What it cannot see: other bits in a value that stays finite, for the format has no checksum.
template <class M>
void load_weights(const std::filesystem::path& path, M& model, const LoadOptions& options = {}) {
  const SafetensorsFile file(path);
  const std::vector<const Tensor*> tensors = detail::match(file, model, options);
  M loaded = model;
  detail::read_state(file, loaded);
  std::size_t i = 0;
  for_each_named_leaf(
      [&](const std::string&, const auto& leaf) {
        const Tensor& tensor = *tensors[i++];
        if (tensor.dtype == Dtype::f32) {
          detail::read_values<float>(file, tensor, leaf, options);
        } else {
          detail::read_values<double>(file, tensor, leaf, options);
        }
      },
      loaded);
  detail::copy_state(loaded, model);
  for_each_leaf([](const auto& to, const auto& from) { to.array() = from.array(); }, model, loaded);
}

/// What the caller of save_weights gave as metadata. Throws as load_weights does.
inline std::map<std::string, std::string> read_metadata(const std::filesystem::path& path) {
  auto metadata = SafetensorsFile(path).header().metadata;
  std::erase_if(metadata, detail::is_state);
  return metadata;
}

}  // namespace selgate
