// SPDX-License-Identifier: MIT
#pragma once

#include "byte_source.hpp"

#include <selgate/core/error.hpp>
#include <selgate/core/types.hpp>

#include <array>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace selgate::examples {

/// Grey images, one after another, each row by row.
struct IdxImages {
  Index count = 0, rows = 0, cols = 0;
  std::vector<std::uint8_t> bytes;  // count * rows * cols

  [[nodiscard]] std::span<const std::uint8_t> image(Index i) const {
    const auto size = static_cast<std::size_t>(rows * cols);
    return std::span(bytes).subspan(static_cast<std::size_t>(i) * size, size);
  }
};

struct LabelledImages {
  IdxImages images;
  std::vector<std::uint8_t> labels;  // one per image
};

namespace detail {

inline std::uint32_t big_endian(std::span<const std::uint8_t> four) {
  std::uint32_t value = 0;
  for (std::uint8_t byte : four) value = (value << 8) | byte;
  return value;
}
inline std::string hex(std::uint32_t value, int digits) {
  std::string text = "0x";
  for (int i = digits - 1; i >= 0; --i) text += "0123456789abcdef"[(value >> (4 * i)) & 15u];
  return text;
}

template <std::size_t Rank>
struct IdxArray {
  std::array<Index, Rank> sizes{};
  std::vector<std::uint8_t> bytes;
};

/// Two zero bytes, the type of the elements (8: unsigned byte), the rank; then its sizes.
template <std::size_t Rank>
void check_idx_magic(const std::string& path, std::span<const std::uint8_t> magic) {
  const std::uint32_t expected = 0x800u + Rank;
  const std::uint32_t found = big_endian(magic);
  const std::uint32_t reversed = std::uint32_t{Rank} << 24 | 8u << 16;
  if (found == reversed || magic[0] != 0 || magic[1] != 0) {
    const std::string_view hint = found == reversed       ? " (bytes reversed: little-endian)"
                                  : found >> 16 == 0x1F8B ? " (a gzip file not named .gz)"
                                                          : "";
    throw data_error(path, "byte 0", "magic number", hex(expected, 8),
                     hex(found, 8) + std::string(hint));
  }
  if (magic[2] != 8) {
    throw data_error(path, "byte 2", "type of the elements", "0x08 (unsigned byte)",
                     hex(magic[2], 2));
  }
  if (magic[3] != Rank) {
    throw data_error(path, "byte 3", "rank", to_text(Rank), to_text(int{magic[3]}));
  }
}

/// Reads one whole file. Nothing is allocated before the header agrees with the size on disk.
template <std::size_t Rank>
IdxArray<Rank> read_idx(const std::filesystem::path& path, std::array<const char*, Rank> names) {
  ByteSource source(path);
  std::array<std::uint8_t, 4 + 4 * Rank> header;
  const std::size_t got = source.read(header);
  if (got >= 4) check_idx_magic<Rank>(source.path(), std::span(header).first(4));
  auto refuse_content = [&](std::uint64_t expected, const std::string& found) {
    throw data_error(source.path(), "byte " + to_text(source.position()), "content",
                     to_text(expected) + " bytes", found);
  };
  if (got < header.size()) refuse_content(header.size(), to_text(got));

  IdxArray<Rank> array;
  std::string sizes;
  std::uint64_t content = 1;
  bool too_large = false;
  for (std::size_t d = 0; d < Rank; ++d) {
    const std::uint32_t size = big_endian(std::span(header).subspan(4 + 4 * d, 4));
    if (size == 0) {
      throw data_error(source.path(), "byte " + to_text(4 + 4 * d), names[d], ">= 1", "0");
    }
    array.sizes[d] = static_cast<Index>(size);
    sizes += (d == 0 ? "" : " x ") + to_text(size);
    too_large = too_large || content > ByteSource::max_content / size;
    if (!too_large) content *= size;
  }
  if (too_large) {
    throw data_error(source.path(), "byte 4", "sizes",
                     "at most " + to_text(ByteSource::max_content) + " bytes", sizes);
  }
  const std::uint64_t whole = header.size() + content;
  if (whole > source.limit() || (!source.packed() && whole != source.size_on_disk())) {
    refuse_content(whole, to_text(source.size_on_disk()) + (source.packed() ? " packed" : ""));
  }
  array.bytes.resize(content);
  if (source.read(array.bytes) < content) refuse_content(whole, to_text(source.position()));
  // Reading on is also what makes a gzip file show its end, and its trailer's checks.
  if (source.read(std::span(header).first(1)) != 0) refuse_content(whole, "more");
  return array;
}

}  // namespace detail

/// Images of an IDX file (the format of MNIST), plain or packed as .gz:
/// big-endian 0x00000803, count, rows, cols, then count * rows * cols bytes and nothing else.
/// Throws io_error, and data_error in the form `file: byte N: what: expected X, found Y`, where N
/// counts unpacked bytes ("packed byte N" where the packing itself is damaged).
inline IdxImages read_idx_images(const std::filesystem::path& path) {
  auto array = detail::read_idx<3>(path, {"number of images", "rows", "columns"});
  return {array.sizes[0], array.sizes[1], array.sizes[2], std::move(array.bytes)};
}

/// Labels of an IDX file: big-endian 0x00000801, count, then count bytes in 0..num_classes-1.
/// Throws as read_idx_images; a label outside its range is named by its index.
inline std::vector<std::uint8_t> read_idx_labels(const std::filesystem::path& path,
                                                 int num_classes = 10) {
  auto array = detail::read_idx<1>(path, {"number of labels"});
  for (std::size_t i = 0; i < array.bytes.size(); ++i) {
    if (array.bytes[i] >= num_classes) {
      throw data_error(path.string(), "byte " + to_text(8 + i), "label " + to_text(i),
                       "0.." + to_text(num_classes - 1), to_text(int{array.bytes[i]}));
    }
  }
  return std::move(array.bytes);
}

/// Images and their labels. Throws data_error, naming both files, where their counts differ.
inline LabelledImages read_labelled_images(const std::filesystem::path& images_path,
                                           const std::filesystem::path& labels_path) {
  LabelledImages data{read_idx_images(images_path), read_idx_labels(labels_path)};
  if (data.labels.size() != static_cast<std::size_t>(data.images.count)) {
    throw data_error(labels_path.string(), "byte 4", "number of labels",
                     to_text(data.images.count) + " as in " + images_path.string(),
                     to_text(data.labels.size()));
  }
  return data;
}

}  // namespace selgate::examples
