// SPDX-License-Identifier: MIT
#include <selgate/io/json.hpp>

#include <limits>
#include <string>
#include <vector>

#include "catch.hpp"
#include "scratch.hpp"

using io_test::refusal;
using selgate::checkpoint_error;
using selgate::detail::json_string;
using selgate::detail::JsonReader;
using selgate::detail::shown;
using namespace std::string_literals;

namespace {

std::string read_string(const std::string& text) {
  JsonReader json("f", text, 0);
  const std::string value = json.string("s");
  json.end("s");
  return value;
}
std::uint64_t read_integer(const std::string& text) {
  JsonReader json("f", text, 0);
  const std::uint64_t value = json.unsigned_integer("n");
  json.end("n");
  return value;
}
std::string string_refusal(const std::string& text) {
  return refusal<checkpoint_error>([&] { read_string(text); });
}
std::string integer_refusal(const std::string& text) {
  return refusal<checkpoint_error>([&] { read_integer(text); });
}

}  // namespace

TEST_CASE("json: strings") {
  CHECK(read_string(R"("")").empty());
  CHECK(read_string(R"( "a b" )") == "a b");
  CHECK(read_string(R"("\"\\\/\b\f\n\r\t")") == "\"\\/\b\f\n\r\t");
  CHECK(read_string(R"("\u0041\u00e9\u20AC\ud83d\ude00\u0000")") ==
        "A\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80\0"s);
  // The first and last code points of each length, and those around the surrogates.
  for (const std::string character :
       {"\x7F", "\xC2\x80", "\xDF\xBF", "\xE0\xA0\x80", "\xED\x9F\xBF", "\xEE\x80\x80",
        "\xEF\xBF\xBF", "\xF0\x90\x80\x80", "\xF4\x8F\xBF\xBF"}) {
    CHECK(read_string('"' + character + '"') == character);
  }
  CHECK(read_string(R"("\u007f\u0080\u07ff\u0800\ud7ff\ue000\uffff\ud800\udc00\udbff\udfff")") ==
        "\x7F\xC2\x80\xDF\xBF\xE0\xA0\x80\xED\x9F\xBF\xEE\x80\x80\xEF\xBF\xBF\xF0\x90\x80\x80\xF4"
        "\x8F\xBF\xBF");
}

TEST_CASE("json: a written string reads back") {
  std::string all;
  for (int byte = 0; byte < 0x80; ++byte) all += static_cast<char>(byte);
  all += "\xC3\xA9\xF0\x9F\x98\x80";
  CHECK(read_string(json_string(all)) == all);
  CHECK(json_string("a\"\\\n\x1F/") == R"("a\"\\\u000a\u001f/")");
}

TEST_CASE("json: bad strings") {
  CHECK(string_refusal("") == "f: byte 0: s: expected a string, found the end of the text");
  CHECK(string_refusal("  x") == R"(f: byte 2: s: expected a string, found "x")");
  CHECK(string_refusal("\"ab") ==
        "f: byte 3: s: expected UTF-8 and a closing quote, found the end of the text");
  for (const std::string& wrong : {"\n"s,
                                   "\0"s,
                                   "\x1F"s,
                                   "\x80"s,
                                   "\xBF"s,
                                   "\xC0\x80"s,
                                   "\xC1\xBF"s,
                                   "\xC2"s,
                                   "\xC2\x7F"s,
                                   "\xC2\xC0"s,
                                   "\xE0\x9F\xBF"s,
                                   "\xE1\x80"s,
                                   "\xE1\x80\x7F"s,
                                   "\xED\xA0\x80"s,
                                   "\xF0\x8F\xBF\xBF"s,
                                   "\xF1\x80\x80"s,
                                   "\xF1\x80\x80\xC0"s,
                                   "\xF4\x90\x80\x80"s,
                                   "\xF5\x80\x80\x80"s,
                                   "\xFF"s}) {
    INFO(shown(wrong));
    CHECK(string_refusal("\"a" + wrong + "\"") ==
          "f: byte 2: s: expected UTF-8 and a closing quote, found " + shown(wrong.substr(0, 1)));
  }
  for (const std::string wrong : {R"(\x)", R"(\u12)", R"(\u12g4)", R"(\u+123)", R"(\U0041)"}) {
    CHECK_THAT(string_refusal("\"a" + wrong + "\""),
               Catch::Matchers::ContainsSubstring("byte 2: s: expected an escape of JSON, found"));
  }
  CHECK(string_refusal(R"("\)") == R"(f: byte 1: s: expected an escape of JSON, found "\\")");
  for (const std::string wrong : {R"(\ud800)", R"(\udbff!)", R"(\udc00)", R"(\udfff)",
                                  R"(\ud800\ud800)", R"(\ud800\u0041)", R"(\udc00\ud800)"}) {
    CHECK(string_refusal("\"" + wrong + "\"") ==
          "f: byte 1: s: expected surrogates in pairs, found one alone");
  }
  CHECK(string_refusal(R"("\ud800\n")") ==
        R"(f: byte 1: s: expected an escape of JSON, found "\\n\"")");
}

TEST_CASE("json: integers") {
  CHECK(read_integer("0") == 0);
  CHECK(read_integer("\n 42 ") == 42);
  CHECK(read_integer("18446744073709551615") == std::numeric_limits<std::uint64_t>::max());
  for (const std::string wrong : {"-1", "-0", "+1", "00", "007", "1.0", "1e3", "0x10",
                                  "18446744073709551616", "1a", "null"}) {
    CHECK(integer_refusal(" " + wrong) ==
          "f: byte 1: n: expected an unsigned 64-bit integer, found \"" + wrong + "\"");
  }
  CHECK(integer_refusal("") ==
        "f: byte 0: n: expected an unsigned 64-bit integer, found the end of the text");
  CHECK(integer_refusal("]") == R"(f: byte 0: n: expected an unsigned 64-bit integer, found "]")");
}

TEST_CASE("json: objects and arrays") {
  const std::string text = " { \"a\" : [ ] ,\"b\":[1 , 2]\t}  ";
  JsonReader json("f", text, 100);
  std::vector<std::string> names;
  std::vector<std::uint64_t> places, numbers;
  json.object("o", [&](const std::string& name, std::uint64_t place) {
    names.push_back(name);
    places.push_back(place);
    json.array(name, [&] { numbers.push_back(json.unsigned_integer(name)); });
  });
  json.end("o");
  CHECK(names == std::vector<std::string>{"a", "b"});
  CHECK(places == std::vector<std::uint64_t>{103, 114});
  CHECK(numbers == std::vector<std::uint64_t>{1, 2});
}

TEST_CASE("json: bad objects and arrays") {
  const auto object_refusal = [](const std::string& text) {
    return refusal<checkpoint_error>([&] {
      JsonReader json("f", text, 10);
      json.object("o", [&](const std::string& name, std::uint64_t) {
        json.array(name, [&] { json.unsigned_integer(name); });
      });
      json.end("o");
    });
  };
  CHECK(object_refusal("") == "f: byte 10: o: expected '{', found the end of the text");
  CHECK(object_refusal("[") == R"(f: byte 10: o: expected '{', found "[")");
  CHECK(object_refusal("{") == "f: byte 11: o: name: expected a string, found the end of the text");
  CHECK(object_refusal("{,}") == R"(f: byte 11: o: name: expected a string, found ",")");
  CHECK(object_refusal(R"({"a" 1})") == R"(f: byte 15: o: expected ':', found "1")");
  CHECK(object_refusal(R"({"a":1})") == R"(f: byte 15: a: expected '[', found "1")");
  CHECK(object_refusal(R"({"a":[1 2]})") == R"(f: byte 18: a: expected ',' or ']', found "2")");
  CHECK(object_refusal(R"({"a":[1)") ==
        "f: byte 17: a: expected ',' or ']', found the end of the text");
  CHECK(object_refusal(R"({"a":[1,]})") ==
        R"(f: byte 18: a: expected an unsigned 64-bit integer, found "]")");
  CHECK(object_refusal(R"({"a":[],})") == R"(f: byte 18: o: name: expected a string, found "}")");
  CHECK(object_refusal(R"({"a":[]]})") == R"(f: byte 17: o: expected ',' or '}', found "]")");
  CHECK(object_refusal(R"({"a":[], "a":[]})") ==
        R"(f: byte 19: o: expected each name once, found "a" again)");
  CHECK(object_refusal(R"({"a":[], "\u0061":[]})") ==
        R"(f: byte 19: o: expected each name once, found "a" again)");
  CHECK(object_refusal("{} \n") == R"(f: byte 13: o: expected spaces up to the end, found "\x0a")");
  CHECK(object_refusal("{}\0"s) == R"(f: byte 12: o: expected spaces up to the end, found "\x00")");
}

TEST_CASE("json: bytes in messages") {
  CHECK(shown("a\"\\\n\x7F\xFF~ ") == R"("a\"\\\x0a\x7f\xff~ ")");
  CHECK(shown(std::string(64, 'a')) == '"' + std::string(64, 'a') + '"');
  CHECK(shown(std::string(65, 'a')) == '"' + std::string(64, 'a') + "\"...");
}
