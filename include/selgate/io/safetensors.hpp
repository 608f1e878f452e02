// SPDX-License-Identifier: MIT
#pragma once

#include <selgate/core/visit.hpp>

#include <nlohmann/json.hpp>

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace selgate {

/// The safetensors format: 8 bytes little-endian header length, that many bytes of JSON, then the
/// tensors' values, row-major and little-endian, one after another:
///
///   {"__metadata__":{"task":"digits"},
///    "weight":{"dtype":"F32","shape":[3,4],"data_offsets":[0,48]}, ...}
///
/// What is accepted here: F32 and F64, at most Shape::max_rank dimensions, names of at most 256
/// bytes, a header of at most 100 MB, and tensors in the order of the header without a gap, so that
/// each pair of offsets follows from what stands before it and all bytes of the file are used.
/// The format carries no checksum: a changed bit among the values is seen only if it makes one of
/// them infinite or NaN.

enum class Dtype : std::uint8_t { f32, f64 };

constexpr std::uint64_t size_of(Dtype dtype) { return dtype == Dtype::f32 ? 4 : 8; }
constexpr const char* name_of(Dtype dtype) { return dtype == Dtype::f32 ? "F32" : "F64"; }
template <class S>
constexpr Dtype dtype_of() {
  static_assert(std::same_as<S, float> || std::same_as<S, double>,
                "selgate: weights files hold models of float or double");
  return std::same_as<S, float> ? Dtype::f32 : Dtype::f64;
}

struct Tensor {
  std::string name;
  Dtype dtype;
  Shape shape;
  std::uint64_t begin;            // of its bytes among the values
  std::uint64_t end;              // begin + shape.size() * size_of(dtype)
  std::uint64_t header_byte = 0;  // where the file's header names it
};

struct SafetensorsHeader {
  std::map<std::string, std::string> metadata;
  std::vector<Tensor> tensors;

  /// Bytes of all values together.
  [[nodiscard]] std::uint64_t data_size() const { return tensors.empty() ? 0 : tensors.back().end; }
};

namespace detail {

inline constexpr const char* metadata_key = "__metadata__";
inline constexpr std::uint64_t max_header_size = 100'000'000;
inline constexpr std::uint64_t max_name_size = 256;
inline constexpr std::uint64_t max_data_size = std::numeric_limits<std::int64_t>::max();

/// Bytes of a file as error messages show them: quoted, cut at 64, only printable ASCII as it is.
inline std::string shown(std::string_view bytes) {
  constexpr std::size_t longest = 64;
  constexpr char digits[] = "0123456789abcdef";
  std::string text = "\"";
  for (const char c : bytes.substr(0, longest)) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte > 0x7E) {
      text += {'\\', 'x', digits[byte >> 4], digits[byte & 15]};
    } else {
      if (c == '"' || c == '\\') text += '\\';
      text += c;
    }
  }
  return text + (bytes.size() > longest ? "\"..." : "\"");
}

inline std::vector<Index> sizes_of(const Shape& shape) {
  return {shape.sizes.begin(), shape.sizes.begin() + shape.rank};
}
/// "[3,4]".
inline std::string shape_text(const Shape& shape) { return nlohmann::json(sizes_of(shape)).dump(); }

/// The bytes of the tensor, where they and all before them stay below 2^63.
inline std::optional<std::uint64_t> checked_size(const Tensor& tensor) {
  std::uint64_t size = size_of(tensor.dtype);
  for (int i = 0; i < tensor.shape.rank; ++i) {
    const auto factor = static_cast<std::uint64_t>(tensor.shape[i]);
    if (factor != 0 && size > max_data_size / factor) return std::nullopt;
    size *= factor;
  }
  return size <= max_data_size - tensor.begin ? std::optional(size) : std::nullopt;
}

}  // namespace detail

}  // namespace selgate
