// SPDX-License-Identifier: MIT
#pragma once

#include <selgate/core/error.hpp>
#include <selgate/core/visit.hpp>
#include <selgate/io/safetensors_file.hpp>

#include <charconv>
#include <concepts>
#include <map>
#include <string>
#include <string_view>
#include <system_error>
#include <type_traits>

namespace selgate::detail {

/// What modules name in visit_state, as metadata of a weights file: under "selgate.", the path of
/// the module and the name ("selgate.gates.gamma"), the shortest text that reads back the same.
using Metadata = std::map<std::string, std::string>;
inline constexpr std::string_view state_prefix = "selgate.";

inline bool is_state(const Metadata::value_type& entry) {
  return entry.first.starts_with(state_prefix);
}

/// f(key, module, value, setter) for all state of a model.
template <class M, class F>
void for_each_state(M& model, const F& f) {
  for_each_named(
      [&](const std::string& path, auto& module) {
        auto visit = [&](const char* name, auto value, auto set) {
          f(std::string(state_prefix) + path + (path.empty() ? "" : ".") + name, module, value,
            set);
        };
        using Module = std::remove_const_t<std::remove_reference_t<decltype(module)>>;
        if constexpr (requires(const Module& m) { m.visit_state(visit); }) {
          module.visit_state(visit);
        } else {
          static_assert(!requires(Module& m) { m.visit_state(visit); },
                        "selgate: visit_state must be const, see selgate/core/visit.hpp");
        }
      },
      model);
}

template <class M>
void add_state(const M& model, Metadata& metadata) {
  for_each_state(model, [&](const std::string& key, const auto&, auto value, auto) {
    metadata[key] = to_text(value);
  });
}

/// Reads back what to_text wrote; false for any other text.
template <class T>
bool from_text(std::string_view text, T& value) {
  if constexpr (std::same_as<T, bool>) {
    value = text == "true";
    return value || text == "false";
  } else {
    const char* const text_end = text.data() + text.size();
    const auto [end, code] = std::from_chars(text.data(), text_end, value);
    return code == std::errc{} && end == text_end;
  }
}

/// Sets the state that the file has; the rest stays. Throws checkpoint_error, with the model set in
/// part, for what the model does not have or does not take.
template <class M>
void read_state(const SafetensorsFile& file, M& model) {
  constexpr std::uint64_t header_byte = 8;
  Metadata unread = file.header().metadata;
  for_each_state(model, [&](const std::string& key, auto& module, auto value, auto set) {
    const auto entry = unread.extract(key);
    if (entry.empty()) return;
    const std::string what = "metadata " + shown(key), found = shown(entry.mapped());
    if (!from_text(entry.mapped(), value)) {
      const bool is_bool = std::same_as<decltype(value), bool>;
      const bool is_integer = std::integral<decltype(value)>;
      file.refuse(header_byte, what,
                  is_bool      ? "true or false"
                  : is_integer ? "an integer"
                               : "a number",
                  found);
    }
    try {
      (module.*set)(value);
    } catch (const config_error& refusal) {
      file.refuse(header_byte, what, "a value that the model takes",
                  found + " (" + refusal.what() + ")");
    }
  });
  std::erase_if(unread, [](const auto& entry) { return !is_state(entry); });
  if (unread.empty()) return;
  file.refuse(header_byte, "metadata", "state of the model alone under \"selgate.\"",
              shown(unread.begin()->first));
}

/// Sets the state of a model to that of another, once it has taken it.
template <class M>
void copy_state(const M& from, M& to) {
  for_each_named(
      [](const std::string&, auto& target, const auto& source) {
        auto copy = [&](const char*, auto value, auto set) { (target.*set)(value); };
        if constexpr (requires { source.visit_state(copy); }) source.visit_state(copy);
      },
      to, from);
}

}  // namespace selgate::detail
