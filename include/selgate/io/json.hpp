// SPDX-License-Identifier: MIT
#pragma once

#include <selgate/core/error.hpp>

#include <charconv>
#include <cstddef>
#include <cstdint>
#include <set>
#include <string>
#include <string_view>

namespace selgate::detail {

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

/// Length of the UTF-8 sequence at the front of a text that is not empty, 0 where there is none.
/// The second byte's range shuts out overlong forms, surrogates and what lies beyond U+10FFFF
/// (The Unicode Standard, table 3-7).
inline std::size_t utf8_length(std::string_view text) {
  const auto byte = [&](std::size_t i) {
    return i < text.size() ? static_cast<unsigned char>(text[i]) : 0u;
  };
  const unsigned lead = byte(0);
  if (lead < 0x80) return 1;
  if (lead < 0xC2 || lead > 0xF4) return 0;
  const unsigned low = lead == 0xE0 ? 0xA0 : lead == 0xF0 ? 0x90 : 0x80;
  const unsigned high = lead == 0xED ? 0x9F : lead == 0xF4 ? 0x8F : 0xBF;
  if (byte(1) < low || byte(1) > high) return 0;
  const std::size_t length = lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
  for (std::size_t i = 2; i < length; ++i) {
    if ((byte(i) & 0xC0) != 0x80) return 0;
  }
  return length;
}

inline void append_utf8(std::string& text, std::uint32_t code_point) {
  const auto append = [&](std::uint32_t byte) { text += static_cast<char>(byte); };
  const auto continuation = [&](int shift) { append(0x80 | ((code_point >> shift) & 0x3F)); };
  if (code_point < 0x80) {
    append(code_point);
  } else if (code_point < 0x800) {
    append(0xC0 | (code_point >> 6)), continuation(0);
  } else if (code_point < 0x10000) {
    append(0xE0 | (code_point >> 12)), continuation(6), continuation(0);
  } else {
    append(0xF0 | (code_point >> 18)), continuation(12), continuation(6), continuation(0);
  }
}

/// A JSON string; bytes from 0x80 up pass as they are.
inline std::string json_string(std::string_view text) {
  constexpr char digits[] = "0123456789abcdef";
  std::string quoted = "\"";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20) {
      quoted += {'\\', 'u', '0', '0', digits[byte >> 4], digits[byte & 15]};
    } else {
      if (c == '"' || c == '\\') quoted += '\\';
      quoted += c;
    }
  }
  return quoted + '"';
}

/// Reads JSON (RFC 8259) whose layout the caller knows: each call takes the value that must come
/// next, so that nothing is built, nothing recurses, and every refusal names its byte in the file.
/// Stricter than most parsers: a name may stand once in an object, strings must be UTF-8, numbers
/// are unsigned integers, a NUL is no end. Everything throws checkpoint_error.
class JsonReader {
 public:
  /// `text` begins at byte `offset` of `file`; it must outlive the reader.
  JsonReader(std::string file, std::string_view text, std::uint64_t offset)
      : file_(std::move(file)), text_(text), offset_(offset) {}

  /// The byte of the file where the next value begins.
  std::uint64_t place() {
    while (peek() == ' ' || peek() == '\t' || peek() == '\n' || peek() == '\r') ++at_;
    return offset_ + at_;
  }

  [[noreturn]] void refuse(std::uint64_t byte, const std::string& what, const std::string& expected,
                           const std::string& found) const {
    throw checkpoint_error(file_, "byte " + to_text(byte), what, expected, found);
  }

  /// Calls member(name, place of the name) for each member; it must read the value.
  template <class Member>
  void object(const std::string& what, const Member& member) {
    std::set<std::string> seen;
    list(what, '{', '}', [&] {
      const std::uint64_t at = place();
      const std::string name = string(what + ": name");
      if (!seen.insert(name).second) refuse(at, what, "each name once", shown(name) + " again");
      if (!take(':')) refuse(place(), what, "':'", next_byte());
      member(name, at);
    });
  }

  /// Calls element() for each element; it must read it.
  template <class Element>
  void array(const std::string& what, const Element& element) {
    list(what, '[', ']', element);
  }

  std::string string(const std::string& what) {
    if (!take('"')) refuse(place(), what, "a string", next_byte());
    std::string value;
    while (peek() != '"') {
      if (peek() == '\\') {
        append_escape(what, value);
      } else {
        const std::size_t length = at_ < text_.size() ? utf8_length(text_.substr(at_)) : 0;
        if (length == 0 || static_cast<unsigned char>(peek()) < 0x20) {
          refuse(offset_ + at_, what, "UTF-8 and a closing quote", next_byte());
        }
        value += text_.substr(at_, length);
        at_ += length;
      }
    }
    ++at_;
    return value;
  }

  std::uint64_t unsigned_integer(const std::string& what) {
    const std::uint64_t at = place();
    const std::string_view token = text_.substr(at_, text_.find_first_of(",:]} \t\r\n", at_) - at_);
    std::uint64_t value = 0;
    const bool is_integer = token.find_first_not_of("0123456789") == token.npos &&
                            (token.size() < 2 || token.front() != '0');
    if (!is_integer ||
        std::from_chars(token.data(), token.data() + token.size(), value).ec != std::errc{}) {
      refuse(at, what, "an unsigned 64-bit integer", token.empty() ? next_byte() : shown(token));
    }
    at_ += token.size();
    return value;
  }

  /// After the value: spaces alone, which pad the text.
  void end(const std::string& what) {
    while (peek() == ' ') ++at_;
    if (at_ != text_.size()) refuse(offset_ + at_, what, "spaces up to the end", next_byte());
  }

 private:
  /// At the end a NUL, which no rule of the grammar accepts either.
  [[nodiscard]] char peek() const { return at_ < text_.size() ? text_[at_] : '\0'; }
  [[nodiscard]] std::string next_byte() const {
    return at_ < text_.size() ? shown(text_.substr(at_, 1)) : "the end of the text";
  }
  bool take(char c) {
    place();
    if (peek() != c) return false;
    ++at_;
    return true;
  }

  template <class Item>
  void list(const std::string& what, char open, char close, const Item& item) {
    if (!take(open)) refuse(place(), what, std::string("'") + open + "'", next_byte());
    if (take(close)) return;
    do {
      item();
    } while (take(','));
    if (!take(close)) refuse(place(), what, std::string("',' or '") + close + "'", next_byte());
  }

  void append_escape(const std::string& what, std::string& value) {
    constexpr std::string_view letters = "\"\\/bfnrt", meanings = "\"\\/\b\f\n\r\t";
    const std::uint64_t at = offset_ + at_++;
    const std::size_t i = letters.find(peek());
    if (i != letters.npos) {
      value += meanings[i];
      ++at_;
      return;
    }
    const auto is_surrogate = [](std::uint32_t code, std::uint32_t first) {
      return code >= first && code < first + 0x400;
    };
    std::uint32_t code = unicode_escape(what, at);
    if (is_surrogate(code, 0xD800) && peek() == '\\') {
      ++at_;
      const std::uint32_t second = unicode_escape(what, at);
      if (is_surrogate(second, 0xDC00)) code = 0x10000 + ((code - 0xD800) << 10) + second - 0xDC00;
    }
    if (code >= 0xD800 && code < 0xE000) refuse(at, what, "surrogates in pairs", "one alone");
    append_utf8(value, code);
  }

  /// The "u20ac" of an escape that began at byte `at`.
  std::uint32_t unicode_escape(const std::string& what, std::uint64_t at) {
    const std::string_view token = text_.substr(at_, 5);
    if (token.size() != 5 || token[0] != 'u' ||
        token.find_first_not_of("0123456789abcdefABCDEF", 1) != token.npos) {
      refuse(at, what, "an escape of JSON", shown("\\" + std::string(token)));
    }
    std::uint32_t code = 0;
    std::from_chars(token.data() + 1, token.data() + token.size(), code, 16);
    at_ += token.size();
    return code;
  }

  std::string file_;
  std::string_view text_;
  std::uint64_t offset_;
  std::size_t at_ = 0;
};

}  // namespace selgate::detail
