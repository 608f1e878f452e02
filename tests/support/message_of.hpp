// SPDX-License-Identifier: MIT
#pragma once

#include <exception>
#include <string>

namespace selgate::test {

/// The text of the Error that f throws, or what it did instead.
template <class Error, class F>
std::string message_of(const F& f) {
  try {
    f();
  } catch (const Error& error) {
    return error.what();
  } catch (const std::exception& error) {
    return std::string("another exception: ") + error.what();
  }
  return "no exception";
}

}  // namespace selgate::test
