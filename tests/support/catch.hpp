// SPDX-License-Identifier: MIT
#pragma once

// One source for Catch2 v2 and v3: v3 split the header and renamed one matcher.
#if __has_include(<catch2/catch_all.hpp>)
#include <catch2/catch_all.hpp>
#else
#include <catch2/catch.hpp>
namespace Catch::Matchers {
inline auto ContainsSubstring(const std::string& text) { return Catch::Matchers::Contains(text); }
}  // namespace Catch::Matchers
#endif
