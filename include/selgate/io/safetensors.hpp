// SPDX-License-Identifier: MIT
#pragma once

#include <selgate/core/visit.hpp>
#include <selgate/io/json.hpp>

#include <algorithm>
#include <array>
#include <concepts>
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

inline constexpr std::uint64_t max_header_size = 100'000'000;
inline constexpr std::uint64_t max_name_size = 256;
inline constexpr std::uint64_t max_data_size = std::numeric_limits<std::int64_t>::max();

/// "[3,4]", as JSON and as messages show it.
template <class List>
std::string list_text(const List& list, std::size_t count) {
  std::string text = "[";
  for (std::size_t i = 0; i < count; ++i) text += (i == 0 ? "" : ",") + to_text(list[i]);
  return text + "]";
}
inline std::string shape_text(const Shape& shape) {
  return list_text(shape.sizes, static_cast<std::size_t>(shape.rank));
}

inline Shape parse_shape(JsonReader& json, const std::string& what) {
  Shape shape{};
  json.array(what, [&] {
    const std::uint64_t at = json.place();
    const std::uint64_t size = json.unsigned_integer(what);
    if (shape.rank == Shape::max_rank) {
      json.refuse(at, what, "at most " + to_text(Shape::max_rank) + " dimensions", "more");
    }
    if (size > max_data_size) json.refuse(at, what, "sizes below 2^63", to_text(size));
    shape.sizes[static_cast<std::size_t>(shape.rank++)] = static_cast<Index>(size);
  });
  return shape;
}

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

/// The tensor called `name`, whose values must begin at `begin`.
inline Tensor parse_tensor(JsonReader& json, const std::string& name, std::uint64_t header_byte,
                           std::uint64_t begin) {
  const std::string what = "tensor " + shown(name);
  if (name.size() > max_name_size) {
    json.refuse(header_byte, what, "a name of at most " + to_text(max_name_size) + " bytes",
                to_text(name.size()));
  }
  std::optional<Dtype> dtype;
  std::optional<Shape> shape;
  std::vector<std::uint64_t> offsets;
  std::uint64_t offsets_byte = header_byte;
  json.object(what, [&](const std::string& key, std::uint64_t key_byte) {
    const std::uint64_t at = json.place();
    const std::string part = what + ": " + key;
    if (key == "dtype") {
      const std::string text = json.string(part);
      if (text != "F32" && text != "F64") json.refuse(at, part, "\"F32\" or \"F64\"", shown(text));
      dtype = text == "F32" ? Dtype::f32 : Dtype::f64;
    } else if (key == "shape") {
      shape = parse_shape(json, part);
    } else if (key == "data_offsets") {
      offsets_byte = at;
      json.array(part, [&] {
        if (offsets.size() == 2) json.refuse(json.place(), part, "2 numbers", "more");
        offsets.push_back(json.unsigned_integer(part));
      });
    } else {
      json.refuse(key_byte, what, "dtype, shape and data_offsets", shown(key));
    }
  });
  if (!dtype) json.refuse(header_byte, what, "dtype, shape and data_offsets", "no dtype");
  if (!shape) json.refuse(header_byte, what, "dtype, shape and data_offsets", "no shape");
  Tensor tensor{name, *dtype, *shape, begin, begin, header_byte};
  const std::optional<std::uint64_t> size = checked_size(tensor);
  if (!size) {
    json.refuse(header_byte, what + ": shape", "less than 2^63 bytes in all", shape_text(*shape));
  }
  tensor.end += *size;
  const std::array<std::uint64_t, 2> expected{tensor.begin, tensor.end};
  if (!std::ranges::equal(expected, offsets)) {
    json.refuse(offsets_byte, what + ": data_offsets", list_text(expected, 2),
                list_text(offsets, offsets.size()));
  }
  return tensor;
}

/// The header from its JSON, which begins at byte 8 of `file`.
inline SafetensorsHeader parse_header(const std::string& file, std::string_view text) {
  JsonReader json(file, text, 8);
  SafetensorsHeader header;
  if (!text.starts_with('{')) json.refuse(8, "header", "'{'", shown(text.substr(0, 1)));
  json.object("header", [&](const std::string& name, std::uint64_t at) {
    if (name != "__metadata__") {
      header.tensors.push_back(parse_tensor(json, name, at, header.data_size()));
      return;
    }
    json.object(name, [&](const std::string& key, std::uint64_t) {
      header.metadata[key] = json.string("__metadata__: " + shown(key));
    });
  });
  json.end("header");
  return header;
}

/// The JSON of a header, padded with spaces so that the values begin at a multiple of 8. Throws
/// config_error for what no reader should meet: equal names, long ones, bytes that are not UTF-8.
inline std::string header_text(const SafetensorsHeader& header) {
  std::string text = "{";
  const auto begin_member = [&text](const std::string& name) {
    if (text.back() != '{') text += ',';
    text += json_string(name) + ':';
  };
  if (!header.metadata.empty()) {
    begin_member("__metadata__");
    text += '{';
    for (const auto& [key, value] : header.metadata) {
      begin_member(key);
      text += json_string(value);
    }
    text += '}';
  }
  for (const Tensor& tensor : header.tensors) {
    begin_member(tensor.name);
    text += "{\"dtype\":\"" + std::string(name_of(tensor.dtype)) +
            "\",\"shape\":" + shape_text(tensor.shape) + ",\"data_offsets\":[" +
            to_text(tensor.begin) + "," + to_text(tensor.end) + "]}";
  }
  text += '}';
  text.resize((text.size() + 7) / 8 * 8, ' ');
  require(text.size() <= max_header_size, "safetensors header: bytes",
          "<= " + to_text(max_header_size), text.size());
  try {
    parse_header("safetensors header", text);
  } catch (const checkpoint_error& refusal) {
    throw config_error(refusal.what());
  }
  return text;
}

}  // namespace detail

}  // namespace selgate
