// SPDX-License-Identifier: MIT
#pragma once

#include <selgate/core/error.hpp>
#include <selgate/io/safetensors.hpp>

#include <nlohmann/json.hpp>

#include <cstddef>
#include <cstdint>
#include <iterator>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace selgate::detail {

/// Reads the JSON of a header from the events of nlohmann's parser. Each is checked as it comes:
/// no tree is built, nothing nests deeper than the format does, a name stands once in an object,
/// and a refusal names the byte of the file where the key or value begins. What is no JSON at all
/// the parser refuses, in its words and at its byte.
class HeaderReader {
 public:
  using Json = nlohmann::json;

  /// `text` begins at byte 8 of `file`; it must outlive the reader.
  HeaderReader(std::string file, std::string_view text) : file_(std::move(file)), text_(text) {}

  /// To be called once. Throws checkpoint_error.
  SafetensorsHeader read() {
    // The parser would skip a byte order mark, and take a NUL for the end.
    if (!text_.starts_with('{')) refuse(text_begin, "header", "'{'", shown(text_.substr(0, 1)));
    const std::size_t nul = text_.find('\0');
    if (nul != text_.npos) refuse(text_begin + nul, "header", "no NUL", "one");
    const char* const begin = text_.data();
    Json::sax_parse(Cursor{begin, &read_}, Cursor{begin + text_.size(), nullptr}, this);
    const std::size_t last = text_.find_last_not_of(' ');
    if (text_[last] != '}') {
      refuse(text_begin + last, "header", "spaces up to the end", shown(text_.substr(last, 1)));
    }
    return std::move(header_);
  }

  // What the parser calls, by the names it asks for.
  bool null() { return value("null"); }
  bool boolean(bool flag) { return value(flag ? "true" : "false"); }
  bool number_integer(Json::number_integer_t) { return value("a signed integer"); }
  bool number_float(Json::number_float_t, const std::string& digits) {
    return value(shown(digits));
  }
  bool binary(Json::binary_t&) { return value("binary data"); }  // never, from a text

  bool number_unsigned(Json::number_unsigned_t number) {
    value(an_integer);
    if (inside_ == Inside::offsets) {
      if (offsets_.size() == 2) refuse(begin_, what_, "2 numbers", "more");
      offsets_.push_back(number);
    } else {
      Shape& shape = tensor_.shape;
      if (shape.rank == Shape::max_rank) {
        refuse(begin_, what_, "at most " + to_text(Shape::max_rank) + " dimensions", "more");
      }
      if (number > max_data_size) refuse(begin_, what_, "sizes below 2^63", to_text(number));
      shape.sizes[static_cast<std::size_t>(shape.rank++)] = static_cast<Index>(number);
    }
    return true;
  }

  bool string(std::string& text) {
    value(a_string);
    if (inside_ == Inside::metadata) {
      header_.metadata[key_] = std::move(text);
    } else {
      if (text != "F32" && text != "F64") refuse(begin_, what_, "\"F32\" or \"F64\"", shown(text));
      tensor_.dtype = text == "F32" ? Dtype::f32 : Dtype::f64;
    }
    return true;
  }

  bool start_object(std::size_t) {
    value(an_object);
    if (inside_ == Inside::nothing) {
      inside_ = Inside::header;
    } else {
      inside_ = key_ == metadata_key ? Inside::metadata : Inside::tensor;
    }
    return true;
  }

  bool key(std::string& name) {
    advance();
    const bool is_outer = inside_ == Inside::header;
    if (!(is_outer ? names_ : keys_).insert(name).second) {
      refuse(begin_, is_outer ? "header" : owner_, "each name once", shown(name) + " again");
    }
    key_ = name;
    if (is_outer) {
      owner_ = what_ = name == metadata_key ? name : "tensor " + shown(name);
      if (name.size() > max_name_size) {
        refuse(begin_, what_, "a name of at most " + to_text(max_name_size) + " bytes",
               to_text(name.size()));
      }
      const std::uint64_t values_begin = header_.data_size();
      tensor_ = {name, Dtype::f32, {}, values_begin, values_begin, begin_};
      keys_.clear();
      offsets_.clear();
    } else if (inside_ == Inside::metadata) {
      what_ = owner_ + ": " + shown(name);
    } else {
      if (name != "dtype" && name != "shape" && name != "data_offsets") {
        refuse(begin_, owner_, tensor_keys, shown(name));
      }
      what_ = owner_ + ": " + name;
    }
    return true;
  }

  bool end_object() {
    if (inside_ == Inside::tensor) end_tensor();
    inside_ = Inside::header;
    return true;
  }

  bool start_array(std::size_t) {
    value(an_array);
    inside_ = key_ == "shape" ? Inside::shape : Inside::offsets;
    if (inside_ == Inside::offsets) offsets_byte_ = begin_;
    return true;
  }

  bool end_array() {
    inside_ = Inside::tensor;
    return true;
  }

  bool parse_error(std::size_t bytes_read, const std::string& token, const Json::exception& error) {
    constexpr int number_overflow = 406;
    if (error.id == number_overflow) return value(shown(token));
    // "[id] parse error at line 1, column 9: invalid string; last read: 'token'; expected ..."; the
    // token may be of any bytes and length.
    std::string problem = error.what();
    const std::string last_read = "; last read: '" + token + "'";
    const std::size_t at = problem.find(last_read);
    if (at != problem.npos) problem.erase(at, last_read.size());
    problem.erase(0, problem.find(": ") + 2);
    refuse(text_begin + bytes_read - 1, "header", "JSON", problem);
  }

 private:
  /// The innermost bracket that is open.
  enum class Inside { nothing, header, metadata, tensor, shape, offsets };

  /// An iterator that counts for the reader how far the parser has read.
  struct Cursor {
    using iterator_category = std::input_iterator_tag;
    using value_type = char;
    using difference_type = std::ptrdiff_t;
    using pointer = const char*;
    using reference = const char&;

    const char* at;
    std::size_t* read;

    reference operator*() const { return *at; }
    Cursor& operator++() {
      ++at;
      ++*read;
      return *this;
    }
    friend bool operator==(const Cursor& a, const Cursor& b) { return a.at == b.at; }
  };

  static constexpr std::uint64_t text_begin = 8;
  static constexpr std::string_view tensor_keys = "dtype, shape and data_offsets";
  static constexpr std::string_view an_object = "an object";
  static constexpr std::string_view an_array = "an array";
  static constexpr std::string_view a_string = "a string";
  static constexpr std::string_view an_integer = "an unsigned 64-bit integer";

  [[noreturn]] void refuse(std::uint64_t byte, const std::string& what, std::string_view expected,
                           std::string_view found) const {
    throw checkpoint_error(file_, "byte " + to_text(byte), what, std::string(expected),
                           std::string(found));
  }

  /// To the key or value that the parser has just read, or the opening bracket: since the last one
  /// there were only separators and closing brackets.
  void advance() {
    begin_ = text_begin + text_.find_first_not_of(" \t\r\n,:]}", end_);
    end_ = read_;  // behind a number one byte too far, but that byte is of these as well
  }

  /// Refuses all but the kind of value that must stand here.
  bool value(std::string_view kind) {
    advance();
    if (kind != expected_kind()) refuse(begin_, what_, expected_kind(), kind);
    return true;
  }
  [[nodiscard]] std::string_view expected_kind() const {
    switch (inside_) {
      case Inside::nothing:
      case Inside::header:
        return an_object;
      case Inside::metadata:
        return a_string;
      case Inside::tensor:
        return key_ == "dtype" ? a_string : an_array;
      default:
        return an_integer;
    }
  }

  void end_tensor() {
    for (const std::string part : {"dtype", "shape", "data_offsets"}) {
      if (!keys_.contains(part)) refuse(tensor_.header_byte, owner_, tensor_keys, "no " + part);
    }
    const std::optional<std::uint64_t> size = checked_size(tensor_);
    if (!size) {
      refuse(tensor_.header_byte, owner_ + ": shape", "less than 2^63 bytes in all",
             shape_text(tensor_.shape));
    }
    tensor_.end = tensor_.begin + *size;
    const std::vector<std::uint64_t> expected{tensor_.begin, tensor_.end};
    if (offsets_ != expected) {
      refuse(offsets_byte_, owner_ + ": data_offsets", Json(expected).dump(),
             Json(offsets_).dump());
    }
    header_.tensors.push_back(tensor_);
  }

  std::string file_;
  std::string_view text_;
  SafetensorsHeader header_;
  std::set<std::string> names_;  // so far, in the header
  std::set<std::string> keys_;   // so far, in the object inside it
  std::size_t read_ = 0;         // bytes of the text that the parser has taken
  std::size_t end_ = 0;          // in the text, of the key or value last read
  std::uint64_t begin_ = 0;      // in the file, of the key or value last read
  Inside inside_ = Inside::nothing;
  std::string key_;    // the last one
  std::string owner_;  // of the keys inside the header, as messages call it
  std::string what_;   // the value of the last key, as messages call it
  Tensor tensor_{};    // the last one begun
  std::vector<std::uint64_t> offsets_;
  std::uint64_t offsets_byte_ = 0;
};

/// The JSON of a header, padded with spaces so that the values begin at a multiple of 8. Throws
/// config_error for what no reader should meet: equal names, long ones, bytes that are not UTF-8.
inline std::string header_text(const SafetensorsHeader& header) {
  using Json = nlohmann::ordered_json;
  std::string text = "{";
  // One by one: a Json of them all would search all names for each, and drop the second of two.
  const auto append_member = [&text](const std::string& name, const Json& value) {
    if (text.size() > 1) text += ',';
    try {
      text += Json(name).dump() + ':' + value.dump();
    } catch (const Json::type_error&) {
      throw config_error("safetensors header: " + shown(name) +
                         ": expected UTF-8, got other bytes");
    }
  };
  if (!header.metadata.empty()) append_member(metadata_key, header.metadata);
  for (const Tensor& tensor : header.tensors) {
    append_member(tensor.name, {{"dtype", name_of(tensor.dtype)},
                                {"shape", sizes_of(tensor.shape)},
                                {"data_offsets", {tensor.begin, tensor.end}}});
  }
  text += '}';
  text.resize((text.size() + 7) / 8 * 8, ' ');
  require(text.size() <= max_header_size, "safetensors header: bytes",
          "<= " + to_text(max_header_size), text.size());
  try {
    HeaderReader("safetensors header", text).read();
  } catch (const checkpoint_error& refusal) {
    throw config_error(refusal.what());
  }
  return text;
}

}  // namespace selgate::detail
