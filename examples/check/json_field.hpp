// SPDX-License-Identifier: MIT
#pragma once

#include <selgate/core/error.hpp>
#include <selgate/core/visit.hpp>

#include <nlohmann/json.hpp>

#include <array>
#include <cmath>
#include <cstddef>
#include <string>
#include <utility>
#include <vector>

namespace selgate::examples {

/// A word of a file and what it stands for.
template <class T>
using Choice = std::pair<const char*, T>;

/// A value of a JSON file that knows where it stands. It may be missing: only what reads it knows
/// what to expect there. Whatever reads throws data_error in the form
/// `file: params.W[1]: length: expected 3, found 2`.
class JsonField {
 public:
  /// `value` must outlive the field.
  JsonField(const nlohmann::json& value, std::string file)
      : value_(&value), file_(std::move(file)) {}

  [[nodiscard]] bool is_missing() const { return value_ == nullptr; }
  [[nodiscard]] bool is_null() const { return !is_missing() && value_->is_null(); }

  /// The member of an object, which may be missing.
  [[nodiscard]] JsonField at(const std::string& key) const {
    if (is_missing() || !value_->is_object()) refuse("an object");
    const auto found = value_->find(key);
    return {found == value_->end() ? nullptr : &*found, file_,
            path_.empty() ? key : path_ + "." + key};
  }
  /// Refuses an object with a key that is not among these.
  void require_keys(const std::vector<std::string>& known) const {
    if (is_missing() || !value_->is_object()) refuse("an object");
    for (const auto& member : value_->items()) {
      bool is_known = false;
      for (const std::string& key : known) is_known = is_known || key == member.key();
      if (!is_known) throw data_error(file_, at(member.key()).path_, "key", list(known), "another");
    }
  }

  [[nodiscard]] Index length() const {
    if (is_missing() || !value_->is_array()) refuse("an array");
    return static_cast<Index>(value_->size());
  }
  void require_length(Index expected) const {
    if (length() != expected) {
      throw data_error(file_, path_, "length", to_text(expected), to_text(length()));
    }
  }
  /// An element of an array, 0 <= i < length().
  [[nodiscard]] JsonField item(Index i) const {
    return {&(*value_)[static_cast<std::size_t>(i)], file_, path_ + "[" + to_text(i) + "]"};
  }

  [[nodiscard]] std::string text() const {
    if (is_missing() || !value_->is_string()) refuse("a string");
    return value_->get<std::string>();
  }
  [[nodiscard]] bool boolean() const {
    if (is_missing() || !value_->is_boolean()) refuse("true or false");
    return value_->get<bool>();
  }
  [[nodiscard]] Index integer(Index low, Index high) const {
    const bool fits = !is_missing() && value_->is_number_integer() &&
                      value_->get<double>() >= static_cast<double>(low) &&
                      value_->get<double>() <= static_cast<double>(high);
    if (!fits) refuse("an integer " + to_text(low) + ".." + to_text(high));
    return value_->get<Index>();
  }
  [[nodiscard]] double number() const {
    return number("a finite number", [](double) { return true; });
  }
  [[nodiscard]] double positive() const {
    return number("a finite number > 0", [](double value) { return value > 0; });
  }
  [[nodiscard]] double not_negative() const {
    return number("a finite number >= 0", [](double value) { return value >= 0; });
  }
  [[nodiscard]] double probability() const {
    return number("a number 0..1", [](double value) { return value >= 0 && value <= 1; });
  }
  /// A finite number of which holds(number) is true.
  template <class Condition>
  [[nodiscard]] double number(const char* expected, const Condition& holds) const {
    if (is_missing() || !value_->is_number()) refuse(expected);
    const auto value = value_->get<double>();
    if (!std::isfinite(value) || !holds(value)) refuse(expected);
    return value;
  }
  /// What one of the words stands for; the message lists them.
  template <class T, std::size_t N>
  [[nodiscard]] T one_of(const std::array<Choice<T>, N>& choices) const {
    std::vector<std::string> words;
    for (const auto& [word, meaning] : choices) {
      if (!is_missing() && *value_ == word) return meaning;
      words.emplace_back(word);
    }
    refuse(list(words));
  }

  /// All numbers of nested arrays of these sizes, the last index running fastest.
  [[nodiscard]] std::vector<double> numbers(const Shape& shape) const {
    std::vector<double> values;
    append_numbers(shape, 0, values);
    return values;
  }

  [[noreturn]] void refuse(const std::string& expected) const {
    throw data_error(file_, path_, "value", expected, description());
  }

 private:
  JsonField(const nlohmann::json* value, std::string file, std::string path)
      : value_(value), file_(std::move(file)), path_(std::move(path)) {}

  void append_numbers(const Shape& shape, int depth, std::vector<double>& values) const {
    if (depth == shape.rank) {
      values.push_back(number());
      return;
    }
    require_length(shape[depth]);
    for (Index i = 0; i < shape[depth]; ++i) item(i).append_numbers(shape, depth + 1, values);
  }

  static std::string list(const std::vector<std::string>& words) {
    std::string text = "one of ";
    for (const std::string& word : words) {
      text += (&word == &words.front() ? "\"" : ", \"") + word + "\"";
    }
    return text;
  }

  [[nodiscard]] std::string description() const {
    constexpr std::size_t longest = 64;
    if (is_missing()) return "nothing (the key is missing)";
    if (value_->is_array()) return "an array of length " + to_text(value_->size());
    if (value_->is_object()) return "an object";
    if (value_->is_number_float()) return to_text(value_->get<double>());
    const std::string text = value_->dump(-1, ' ', true, nlohmann::json::error_handler_t::replace);
    return text.size() <= longest ? text : text.substr(0, longest) + "...";
  }

  const nlohmann::json* value_;
  std::string file_, path_;
};

}  // namespace selgate::examples
