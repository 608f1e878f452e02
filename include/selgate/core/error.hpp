// SPDX-License-Identifier: MIT
#pragma once

#include <charconv>
#include <concepts>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <type_traits>

namespace selgate {

/// Mixed into everything the library throws, so that one handler can catch it all.
/// The numbers are stable: programs may test them.
class error {
 public:
  enum class Code : int { config = 2, data = 3, checkpoint = 4, numeric = 5, io = 6, shape = 7, state = 8 };
  [[nodiscard]] Code code() const noexcept { return code_; }

 protected:
  explicit error(Code code) noexcept : code_(code) {}
  ~error() = default;

 private:
  Code code_;
};

/// An option or argument outside its range.
struct config_error : std::invalid_argument, error {
  explicit config_error(const std::string& text) : std::invalid_argument(text), error(Code::config) {}
};
/// Sizes that do not fit each other.
struct shape_error : std::invalid_argument, error {
  explicit shape_error(const std::string& text) : std::invalid_argument(text), error(Code::shape) {}
};
/// Calls in the wrong order, such as a backward pass without its forward pass.
struct state_error : std::logic_error, error {
  explicit state_error(const std::string& text) : std::logic_error(text), error(Code::state) {}
};
/// A number that is not finite where it must be.
struct numeric_error : std::runtime_error, error {
  explicit numeric_error(const std::string& text) : std::runtime_error(text), error(Code::numeric) {}
};
/// The operating system refused: path, operation and errno are in the text and in code().
struct io_error : std::system_error, error {
  io_error(int errno_value, const std::string& text)
      : std::system_error(errno_value, std::generic_category(), text), error(Code::io) {}
  using error::code;  // std::system_error::code() holds the errno
};

/// Content of a file is wrong: `file:place: what: expected X, found Y`.
class data_error : public std::runtime_error, public error {
 public:
  data_error(std::string file, std::string place, std::string what, std::string expected,
             std::string found, Code code = Code::data)
      : std::runtime_error(file + ": " + (place.empty() ? "" : place + ": ") + what + ": expected " +
                           expected + ", found " + found),
        error(code),
        file_(std::move(file)),
        place_(std::move(place)),
        expected_(std::move(expected)),
        found_(std::move(found)) {}
  [[nodiscard]] const std::string& file() const noexcept { return file_; }
  /// "line 3, column 7" or "byte 96".
  [[nodiscard]] const std::string& place() const noexcept { return place_; }
  [[nodiscard]] const std::string& expected() const noexcept { return expected_; }
  [[nodiscard]] const std::string& found() const noexcept { return found_; }

 private:
  std::string file_, place_, expected_, found_;
};
/// A weights file that is damaged or belongs to another model.
class checkpoint_error : public data_error {
 public:
  checkpoint_error(std::string file, std::string place, std::string what, std::string expected,
                   std::string found)
      : data_error(std::move(file), std::move(place), std::move(what), std::move(expected),
                   std::move(found), Code::checkpoint) {}
};

/// A value as error messages show it: shortest digits that read back the same.
template <class T>
  requires std::integral<T> || std::floating_point<T>
std::string to_text(T value) {
  if constexpr (std::floating_point<T>) {
    if (value != value) return "nan";
  }
  char buffer[64];
  const auto [end, code] = std::to_chars(buffer, buffer + sizeof buffer, value);
  return {buffer, code == std::errc{} ? end : buffer};
}
inline std::string to_text(bool value) { return value ? "true" : "false"; }
inline std::string to_text(std::string_view value) { return std::string(value); }

/// Throws `Error("what: expected X, got Y")` unless the condition holds.
template <class Error = config_error, class T>
void require(bool condition, std::string_view what, std::string_view expected, const T& got) {
  if (!condition) {
    throw Error(std::string(what) + ": expected " + std::string(expected) + ", got " + to_text(got));
  }
}

/// Throws shape_error unless both sizes agree.
template <class T>
  requires std::integral<T>
void require_size(std::string_view what, T expected, T got) {
  if (expected != got) require<shape_error>(false, what, to_text(expected), got);
}
/// The same for `owner: what`; joins them only to throw, so it may stand in a pass.
template <class T>
  requires std::integral<T>
void require_size(std::string_view owner, std::string_view what, T expected, T got) {
  if (expected != got) require_size(std::string(owner) + ": " + std::string(what), expected, got);
}
/// Throws shape_error for more columns than the cache (or output) was made for.
template <class T>
  requires std::integral<T>
void require_capacity(std::string_view owner, T capacity, T columns) {
  if (columns <= capacity) return;
  require<shape_error>(false, std::string(owner) + ": columns",
                       "at most " + to_text(capacity) + ", for which the cache was made", columns);
}
/// Throws state_error unless a backward pass has the columns of the last forward pass (-1: none).
template <class T>
  requires std::integral<T>
void require_same_batch(std::string_view owner, T forward, T backward) {
  if (forward == backward) return;
  if (forward < 0) {
    throw state_error(std::string(owner) + ": backward: expected a forward before it, got none");
  }
  require<state_error>(false, std::string(owner) + ": columns of backward",
                       to_text(forward) + ", as in the last forward", backward);
}

}  // namespace selgate
