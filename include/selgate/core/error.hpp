// SPDX-License-Identifier: MIT
#pragma once

#include <charconv>
#include <concepts>
#include <cstdint>
#include <initializer_list>
#include <limits>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <type_traits>
#include <utility>

namespace selgate {

/// Pieces of text in a row. One call, so that a message costs little to compile where it is made.
[[gnu::noinline]] inline std::string concat(std::initializer_list<std::string_view> pieces) {
  std::string text;
  for (const std::string_view piece : pieces) text += piece;
  return text;
}

/// Part of everything the library throws, so that one handler can catch it all.
/// The numbers are stable: programs may test them.
class error {
 public:
  enum class Code : int {
    config = 2,
    data = 3,
    checkpoint = 4,
    numeric = 5,
    io = 6,
    shape = 7,
    state = 8
  };
  [[nodiscard]] Code code() const noexcept { return code_; }
  /// What std::exception::what() says of the same object.
  [[nodiscard]] virtual const char* text() const noexcept = 0;

 protected:
  explicit error(Code code) noexcept : code_(code) {}
  error(const error&) = default;
  error& operator=(const error&) = default;
  virtual ~error() = default;

 private:
  Code code_;
};

/// One of the standard's exceptions that is an error of ours too.
template <class Standard>
class error_as : public Standard, public error {
 public:
  using error::code;  // std::system_error::code() holds the errno
  [[nodiscard]] const char* text() const noexcept final { return Standard::what(); }

 protected:
  template <class... Arguments>
  explicit error_as(Code code, const Arguments&... arguments)
      : Standard(arguments...), error(code) {}
};

/// An option or argument outside its range.
struct config_error : error_as<std::invalid_argument> {
  explicit config_error(const std::string& what) : error_as(Code::config, what) {}
};
/// Sizes that do not fit each other.
struct shape_error : error_as<std::invalid_argument> {
  explicit shape_error(const std::string& what) : error_as(Code::shape, what) {}
};
/// Calls in the wrong order, such as a backward pass without its forward pass.
struct state_error : error_as<std::logic_error> {
  explicit state_error(const std::string& what) : error_as(Code::state, what) {}
};
/// A number that is not finite where it must be.
struct numeric_error : error_as<std::runtime_error> {
  explicit numeric_error(const std::string& what) : error_as(Code::numeric, what) {}
};
/// The operating system refused: path, operation and what errno means are in the text.
struct io_error : error_as<std::system_error> {
  io_error(int errno_value, const std::string& what)
      : error_as(Code::io, errno_value, std::generic_category(), what) {}
};

/// Content of a file is wrong: `file:place: what: expected X, found Y`.
class data_error : public error_as<std::runtime_error> {
 public:
  data_error(std::string file, std::string place, std::string what, std::string expected,
             std::string found, Code code = Code::data)
      : error_as(code, concat({file, ": ", place, place.empty() ? "" : ": ", what, ": expected ",
                               expected, ", found ", found})),
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
inline std::string to_text(const char* value) { return value; }  // else it were a bool

/// Throws `Error("what: expected X, got Y")` unless the condition holds.
template <class Error = config_error, class T>
void require(bool condition, std::string_view what, std::string_view expected, const T& got) {
  if (!condition) {
    throw Error(concat({what, ": expected ", expected, ", got ", to_text(got)}));
  }
}

/// Throws config_error where a x b entries would be more than their type counts; both are >= 0.
template <class T>
  requires std::integral<T>
void require_countable(std::string_view what, T a, T b) {
  constexpr T most = (std::numeric_limits<T>::max)();
  if (b == 0 || a <= most / b) return;
  require(false, concat({what, ": entries"}), concat({"at most ", to_text(most)}),
          concat({to_text(a), " x ", to_text(b)}));
}

namespace detail {
/// Out of line, so that a check in a pass is its comparison and no more.
template <class Error, class T>
[[noreturn, gnu::cold, gnu::noinline]] void throw_misfit(std::string_view owner,
                                                         std::string_view what,
                                                         std::string_view whose, T expected,
                                                         T got) {
  throw Error(
      concat({owner, ": ", what, whose, ": expected ", to_text(expected), ", got ", to_text(got)}));
}
}  // namespace detail

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
  if (expected != got) detail::throw_misfit<shape_error>(owner, what, "", expected, got);
}
/// Throws state_error unless the cache was made by a module of the same size.
template <class T>
  requires std::integral<T>
void require_cache(std::string_view owner, std::string_view what, T expected, T got) {
  if (expected == got) return;
  detail::throw_misfit<state_error>(owner, what, " of the cache", expected, got);
}
/// Throws shape_error for more columns than the cache (or output) was made for.
template <class T>
  requires std::integral<T>
void require_capacity(std::string_view owner, T capacity, T columns) {
  if (columns <= capacity) return;
  require<shape_error>(false, concat({owner, ": columns"}),
                       concat({"at most ", to_text(capacity), ", for which the cache was made"}),
                       columns);
}
/// Throws state_error unless a backward pass has the columns of the last forward pass (-1: none).
template <class T>
  requires std::integral<T>
void require_same_batch(std::string_view owner, T forward, T backward) {
  if (forward == backward) return;
  if (forward < 0) {
    throw state_error(concat({owner, ": backward: expected a forward before it, got none"}));
  }
  require<state_error>(false, concat({owner, ": columns of backward"}),
                       concat({to_text(forward), ", as in the last forward"}), backward);
}

}  // namespace selgate
