// SPDX-License-Identifier: MIT
#pragma once

#include <selgate/io/file.hpp>
#include <selgate/io/safetensors_header.hpp>

#include <algorithm>
#include <array>
#include <cstdint>
#include <filesystem>
#include <string>

namespace selgate {

/// A safetensors file open for reading, its header checked against the rules of safetensors.hpp and
/// against the size of the file. Memory is taken only for bytes that are there. Throws io_error
/// where the system refuses, else checkpoint_error("file: byte N: what: expected X, found Y").
class SafetensorsFile {
 public:
  explicit SafetensorsFile(const std::filesystem::path& path) : file_(path) {
    const std::uint64_t size = file_.size();
    if (size < 8) refuse(size, "file length", "8 bytes of header length first", to_text(size));
    std::array<unsigned char, 8> bytes;
    read_bytes(0, bytes.data(), bytes.size());
    std::uint64_t length = 0;
    for (std::size_t i = bytes.size(); i-- > 0;) length = length << 8 | bytes[i];
    const std::uint64_t longest = std::min(size - 8, detail::max_header_size);
    if (length < 2 || length > longest) {
      refuse(0, "header length (is this a safetensors file?)", "2 to " + to_text(longest),
             to_text(length));
    }
    std::string text(length, '\0');
    read_bytes(8, text.data(), text.size());
    header_ = detail::HeaderReader(name(), text).read();
    data_begin_ = 8 + length;
    const std::uint64_t expected = data_begin_ + header_.data_size();
    if (size != expected) {
      refuse(std::min(size, expected), "file length", to_text(expected), to_text(size));
    }
  }

  [[nodiscard]] const std::string& name() const { return file_.name(); }
  [[nodiscard]] const SafetensorsHeader& header() const { return header_; }
  /// The byte of the file where the tensor's values begin.
  [[nodiscard]] std::uint64_t data_byte(const Tensor& tensor) const {
    return data_begin_ + tensor.begin;
  }
  /// Reads the tensor's values, end - begin bytes.
  void read(const Tensor& tensor, void* to) const {
    read_bytes(data_byte(tensor), to, tensor.end - tensor.begin);
  }
  [[noreturn]] void refuse(std::uint64_t byte, const std::string& what, const std::string& expected,
                           const std::string& found) const {
    throw checkpoint_error(name(), "byte " + to_text(byte), what, expected, found);
  }

 private:
  void read_bytes(std::uint64_t offset, void* to, std::uint64_t size) const {
    const std::uint64_t found = file_.read(offset, to, size);
    if (found != size) {
      refuse(offset + found, "file length", to_text(file_.size()) + ", as when it was opened",
             to_text(offset + found));
    }
  }

  InputFile file_;
  SafetensorsHeader header_;
  std::uint64_t data_begin_ = 0;
};

}  // namespace selgate
