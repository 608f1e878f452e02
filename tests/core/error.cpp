// SPDX-License-Identifier: MIT
#include <selgate/core/error.hpp>

#include "catch.hpp"

#include <cerrno>
#include <limits>

using namespace selgate;

namespace {

using Code = error::Code;

/// What a handler of std::exception gets to know of an error of ours.
template <class Throw>
std::pair<Code, std::string> caught(Throw fail) {
  try {
    fail();
  } catch (const std::exception& e) {
    return {dynamic_cast<const error&>(e).code(), e.what()};
  }
  FAIL("nothing was thrown");
  return {};
}

}  // namespace

TEST_CASE("error: one handler catches every kind, with its text") {
  const auto caught_as_ours = [](auto e) {
    try {
      throw e;
    } catch (const error& ours) {
      CHECK(std::string(ours.text()) == e.what());
      return ours.code();
    }
  };
  CHECK(caught_as_ours(config_error("a")) == Code::config);
  CHECK(caught_as_ours(io_error(ENOENT, "b")) == Code::io);
  CHECK(caught_as_ours(checkpoint_error("f", "p", "w", "e", "g")) == Code::checkpoint);
}

TEST_CASE("error: every kind has its code and its text") {
  const auto thrown = [](auto e) { return caught([&] { throw e; }); };
  CHECK(thrown(config_error("text")) == std::pair(Code::config, std::string("text")));
  CHECK(thrown(shape_error("text")) == std::pair(Code::shape, std::string("text")));
  CHECK(thrown(state_error("text")) == std::pair(Code::state, std::string("text")));
  CHECK(thrown(numeric_error("text")) == std::pair(Code::numeric, std::string("text")));
  CHECK(thrown(io_error(ENOENT, "text")).first == Code::io);
  CHECK(thrown(data_error("f", "p", "w", "e", "g")).first == Code::data);
  CHECK(thrown(checkpoint_error("f", "p", "w", "e", "g")).first == Code::checkpoint);
}

TEST_CASE("error: the codes are stable") {
  CHECK(static_cast<int>(Code::config) == 2);
  CHECK(static_cast<int>(Code::data) == 3);
  CHECK(static_cast<int>(Code::checkpoint) == 4);
  CHECK(static_cast<int>(Code::numeric) == 5);
  CHECK(static_cast<int>(Code::io) == 6);
  CHECK(static_cast<int>(Code::shape) == 7);
  CHECK(static_cast<int>(Code::state) == 8);
}

TEST_CASE("error: each kind is the standard's kind too") {
  CHECK_THROWS_AS(throw config_error(""), std::invalid_argument);
  CHECK_THROWS_AS(throw shape_error(""), std::invalid_argument);
  CHECK_THROWS_AS(throw state_error(""), std::logic_error);
  CHECK_THROWS_AS(throw numeric_error(""), std::runtime_error);
  CHECK_THROWS_AS(throw data_error("", "", "", "", ""), std::runtime_error);
  CHECK_THROWS_AS(throw checkpoint_error("", "", "", "", ""), data_error);
}

TEST_CASE("error: io_error keeps errno and says what the system says") {
  try {
    throw io_error(ENOSPC, "weights.bin: write");
  } catch (const std::system_error& e) {
    CHECK(e.code() == std::errc::no_space_on_device);
    CHECK_THAT(e.what(), Catch::Matchers::StartsWith("weights.bin: write: "));
  }
}

TEST_CASE("error: data_error says file, place, what was expected and what found") {
  const data_error e("ratings.dat", "line 3, column 9", "rating", "an integer 1..5", "\"6\"");
  CHECK(
      e.what() ==
      std::string("ratings.dat: line 3, column 9: rating: expected an integer 1..5, found \"6\""));
  CHECK(e.file() == "ratings.dat");
  CHECK(e.place() == "line 3, column 9");
  CHECK(e.expected() == "an integer 1..5");
  CHECK(e.found() == "\"6\"");
  CHECK(data_error("a.csv", "", "rows", "at least 1", "0").what() ==
        std::string("a.csv: rows: expected at least 1, found 0"));
}

TEST_CASE("to_text: shortest digits that read back the same") {
  CHECK(to_text(-7) == "-7");
  CHECK(to_text((std::numeric_limits<std::uint64_t>::max)()) == "18446744073709551615");
  CHECK(to_text(0.1) == "0.1");
  CHECK(to_text(0.1f) == "0.1");
  CHECK(to_text(1e300) == "1e+300");
  CHECK(to_text(std::numeric_limits<double>::quiet_NaN()) == "nan");
  CHECK(to_text(true) == "true");
  CHECK(to_text(false) == "false");
  CHECK(to_text(std::string("gamma")) == "gamma");
  CHECK(to_text(std::string_view("gamma")) == "gamma");
  CHECK(to_text("gamma") == "gamma");
}

TEST_CASE("require: throws the chosen error where the condition does not hold") {
  CHECK_NOTHROW(require(true, "k", ">= 1", 0));
  CHECK(caught([] { require(false, "Top-k: k", "1..4", 5); }) ==
        std::pair(Code::config, std::string("Top-k: k: expected 1..4, got 5")));
  CHECK(caught([] { require<numeric_error>(false, "loss", "a finite number", 0.5); }) ==
        std::pair(Code::numeric, std::string("loss: expected a finite number, got 0.5")));
}

TEST_CASE("require_size: names both sizes") {
  CHECK_NOTHROW(require_size("rows", 3, 3));
  CHECK(caught([] { require_size("rows of x", 3, 4); }) ==
        std::pair(Code::shape, std::string("rows of x: expected 3, got 4")));
}

TEST_CASE("require_countable: says both sizes and the limit") {
  CHECK_NOTHROW(require_countable("weights", 1 << 15, 65535));
  CHECK_NOTHROW(require_countable("weights", 7, 0));
  CHECK_THROWS_WITH(require_countable("weights", 1 << 16, 1 << 15),
                    "weights: entries: expected at most 2147483647, got 65536 x 32768");
  CHECK_THROWS_AS(require_countable("weights", 1 << 16, 1 << 15), config_error);
}

TEST_CASE("require_cache: names the module and both sizes") {
  CHECK_NOTHROW(require_cache("Dense", "out_features", 3, 3));
  CHECK(caught([] { require_cache("Dense", "out_features", 3, 4); }) ==
        std::pair(Code::state, std::string("Dense: out_features of the cache: expected 3, got 4")));
}
