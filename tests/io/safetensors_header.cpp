// SPDX-License-Identifier: MIT
#include <selgate/io/safetensors_header.hpp>

#include <cstdint>
#include <string>
#include <vector>

#include "catch.hpp"
#include "message_of.hpp"

using selgate::Dtype;
using selgate::SafetensorsHeader;
using selgate::Shape;
using selgate::detail::header_text;
using selgate::detail::HeaderReader;
using selgate::test::message_of;
using namespace std::string_literals;

namespace {

const std::string good_text = R"({"w":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]},)"
                                R"("b":{"dtype":"F64","shape":[3],"data_offsets":[24,48]}})";

/// A change of the good header: the first `from` becomes `to`, where ^ stands before the byte that
/// the message must name.
struct Change {
  std::string from, to, message;
};

std::string reading_refusal(const std::string& text) {
  return message_of<selgate::checkpoint_error>([&] { HeaderReader("f", text).read(); });
}

/// What nlohmann's parser says about a text that is no JSON.
std::string syntax(const std::string& problem) {
  return "header: expected JSON, found syntax error while parsing " + problem;
}

/// A header whose tensors of F32 have these names and 4 values each.
SafetensorsHeader named(const std::vector<std::string>& names) {
  SafetensorsHeader header;
  for (const std::string& name : names) {
    const std::uint64_t begin = header.data_size();
    header.tensors.push_back({name, Dtype::f32, {4}, begin, begin + 16});
  }
  return header;
}

std::string writing_refusal(const SafetensorsHeader& header) {
  return message_of<selgate::config_error>([&] { header_text(header); });
}

/// The metadata that has this JSON string for a key and for a value.
std::string metadata(const std::string& quoted) {
  return R"({"__metadata__":{)" + quoted + ":" + quoted + "}}";
}
std::string read_string(const std::string& quoted) {
  const SafetensorsHeader header = HeaderReader("f", metadata(quoted)).read();
  REQUIRE(header.metadata.size() == 1);
  CHECK(header.metadata.begin()->first == header.metadata.begin()->second);
  return header.metadata.begin()->second;
}

}  // namespace

TEST_CASE("safetensors header: its text") {
  CHECK(header_text({}) == "{}      ");
  CHECK(header_text({.metadata = {{"b", "2"}, {"a", "\"1\"\n\x1F"}}, .tensors = {}}) ==
        R"({"__metadata__":{"a":"\"1\"\n\u001f","b":"2"}}  )");
  const SafetensorsHeader header{.metadata = {{"a", "1"}},
                                 .tensors = {{"w", Dtype::f32, {2, 3}, 0, 24},
                                             {"none", Dtype::f64, {5, 0}, 24, 24},
                                             {"one", Dtype::f64, {}, 24, 32}}};
  CHECK(header_text(header) ==
        R"({"__metadata__":{"a":"1"},"w":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]},)"
        R"("none":{"dtype":"F64","shape":[5,0],"data_offsets":[24,24]},)"
        R"("one":{"dtype":"F64","shape":[],"data_offsets":[24,32]}}  )");
  for (int padding = 0; padding < 8; ++padding) {
    const std::string text =
        header_text(named({std::string(static_cast<std::size_t>(padding), 'x')}));
    CHECK(text.size() % 8 == 0);
    CHECK(text.find_last_not_of(' ') + 8 >= text.size());
  }
}

TEST_CASE("safetensors header: reads back as written") {
  std::string characters;
  for (char c = 0; c < 0x7F; ++c) characters += c;
  const SafetensorsHeader header{.metadata = {{"", ""},
                                              {"\xC3\xA9\n", "\xF0\x9F\x98\x80\\"},
                                              {"a", "__metadata__"},
                                              {characters + "\x7F", characters + "\x7F"}},
                                 .tensors = {{"gates.1.W", Dtype::f32, {2, 3, 5, 7}, 0, 840},
                                             {"\xE2\x82\xAC \"", Dtype::f64, {1}, 840, 848}}};
  const SafetensorsHeader read = HeaderReader("f", header_text(header)).read();
  CHECK(read.metadata == header.metadata);
  REQUIRE(read.tensors.size() == 2);
  for (std::size_t i = 0; i < 2; ++i) {
    CHECK(read.tensors[i].name == header.tensors[i].name);
    CHECK(read.tensors[i].dtype == header.tensors[i].dtype);
    CHECK(read.tensors[i].shape == header.tensors[i].shape);
    CHECK(read.tensors[i].begin == header.tensors[i].begin);
    CHECK(read.tensors[i].end == header.tensors[i].end);
  }
}

TEST_CASE("safetensors header: JSON that others write") {
  // Keys in another order, spaces, escapes, metadata at the end, no padding.
  const SafetensorsHeader header =
      HeaderReader("f",
                   "{ \"\\u0077\" : {\n\"shape\": [2, 3], \"data_offsets\": [0, 48], \"dtype\": "
                   "\"F64\" } ,\t\"__metadata__\": { \"format\" : \"pt\" }\r\n}")
          .read();
  REQUIRE(header.tensors.size() == 1);
  CHECK(header.tensors[0].name == "w");
  CHECK(header.tensors[0].dtype == Dtype::f64);
  CHECK(header.tensors[0].shape == Shape{2, 3});
  CHECK(header.tensors[0].header_byte == 10);
  CHECK(header.data_size() == 48);
  CHECK(header.metadata.at("format") == "pt");
}

TEST_CASE("safetensors header: strings") {
  CHECK(read_string(R"("")").empty());
  CHECK(read_string(R"("\"\\\/\b\f\n\r\t")") == "\"\\/\b\f\n\r\t");
  CHECK(read_string(R"("\u0041\u00e9\u20AC\ud83d\ude00\u0000")") ==
        "A\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80\0"s);
  // The first and last code points of each length, and those around the surrogates.
  for (const std::string character :
       {"\x7F", "\xC2\x80", "\xDF\xBF", "\xE0\xA0\x80", "\xED\x9F\xBF", "\xEE\x80\x80",
        "\xEF\xBF\xBF", "\xF0\x90\x80\x80", "\xF4\x8F\xBF\xBF"}) {
    CHECK(read_string('"' + character + '"') == character);
  }
}

TEST_CASE("safetensors header: bad strings") {
  // The byte named is the first that cannot stand where it stands.
  struct Bad {
    std::string text;
    std::size_t byte;
    std::string problem;
  };
  const std::string utf8 = "ill-formed UTF-8 byte";
  const std::string hex = "'\\u' must be followed by 4 hex digits";
  const std::string high = "surrogate U+D800..U+DBFF must be followed by U+DC00..U+DFFF";
  const std::string low = "surrogate U+DC00..U+DFFF must follow U+D800..U+DBFF";
  const std::vector<Bad> all{
      {"\n", 0, R"(control character U+000A (LF) must be escaped to \u000A or \n)"},
      {"\x1F", 0, R"(control character U+001F (US) must be escaped to \u001F)"},
      {"\x80", 0, utf8},
      {"\xBF", 0, utf8},
      {"\xC0\x80", 0, utf8},
      {"\xC1\xBF", 0, utf8},
      {"\xC2", 1, utf8},
      {"\xC2\x7F", 1, utf8},
      {"\xC2\xC0", 1, utf8},
      {"\xE0\x9F\xBF", 1, utf8},
      {"\xE1\x80", 2, utf8},
      {"\xE1\x80\x7F", 2, utf8},
      {"\xED\xA0\x80", 1, utf8},
      {"\xF0\x8F\xBF\xBF", 1, utf8},
      {"\xF1\x80\x80", 3, utf8},
      {"\xF1\x80\x80\xC0", 3, utf8},
      {"\xF4\x90\x80\x80", 1, utf8},
      {"\xF5\x80\x80\x80", 0, utf8},
      {"\xFF", 0, utf8},
      {R"(\x)", 1, "forbidden character after backslash"},
      {R"(\U0041)", 1, "forbidden character after backslash"},
      {R"(\u12)", 4, hex},
      {R"(\u12g4)", 4, hex},
      {R"(\u+123)", 2, hex},
      {R"(\ud800)", 6, high},
      {R"(\udbff!)", 6, high},
      {R"(\ud800\n)", 7, high},
      {R"(\ud800\ud800)", 11, high},
      {R"(\ud800\u0041)", 11, high},
      {R"(\udc00)", 5, low},
      {R"(\udfff)", 5, low},
      {R"(\udc00\ud800)", 5, low},
  };
  for (const Bad& bad : all) {
    INFO(bad.problem);
    const std::string quoted = "\"a" + bad.text + "\"";
    const std::string key = "{\"__metadata__\":{", value = key + "\"k\":";
    const std::string found = ": " + syntax("object key - invalid string: " + bad.problem);
    CHECK(reading_refusal(key + quoted + ":\"\"}}") ==
          "f: byte " + std::to_string(8 + key.size() + 2 + bad.byte) + found +
              "; expected string literal");
    CHECK(reading_refusal(value + quoted + "}}") ==
          "f: byte " + std::to_string(8 + value.size() + 2 + bad.byte) + ": " +
              syntax("value - invalid string: " + bad.problem));
  }
  CHECK(reading_refusal("{\"ab") ==
        "f: byte 12: " + syntax("object key - invalid string: missing closing quote; expected "
                                "string literal"));
}

TEST_CASE("safetensors header: messages stay short") {
  const std::string many(1000, '9');
  const std::string cut = "\"" + many.substr(0, 64) + "\"...";
  const std::string integer =
      "f: byte 24: tensor \"w\": shape: expected an unsigned 64-bit integer";
  CHECK(reading_refusal("{\"w\":{\"shape\":[ " + many + "]}}") == integer + ", found " + cut);
  CHECK(reading_refusal("{\"" + many + "\":1}") ==
        "f: byte 9: tensor " + cut + ": expected a name of at most 256 bytes, found 1000");
  CHECK(reading_refusal("{\"" + many) ==
        "f: byte 1010: " + syntax("object key - invalid string: missing closing quote; expected "
                                  "string literal"));
}

TEST_CASE("safetensors header: deep nesting is refused where it begins") {
  const std::string deep(1'000'000, '[');
  CHECK(reading_refusal("{\"w\":" + deep) ==
        "f: byte 13: tensor \"w\": expected an object, found an array");
  CHECK(reading_refusal("{\"w\":{\"shape\":" + deep) ==
        "f: byte 23: tensor \"w\": shape: expected an unsigned 64-bit integer, found an array");
}

TEST_CASE("safetensors header: malformed") {
  const std::string keys = "expected dtype, shape and data_offsets, found ";
  const std::string offsets = ",\"data_offsets\":";
  const std::string shape = "tensor \"w\": shape: expected an unsigned 64-bit integer, found ";
  const std::string huge = std::to_string(std::uint64_t{1} << 62);
  const std::vector<Change> changes{
      // What the parser would let pass.
      {"{", "^[", R"(header: expected '{', found "[")"},
      {"{", "^ {", R"(header: expected '{', found " ")"},
      {"{", "^\xEF\xBB\xBF{", R"(header: expected '{', found "\xef")"},
      {"[24,48]}}", "[24,48]}}^\0 "s, "header: expected no NUL, found one"},
      {"\"b\"", "\"^\0\""s, "header: expected no NUL, found one"},
      {"[24,48]}}", "[24,48]}}^\n", R"(header: expected spaces up to the end, found "\x0a")"},
      // Not JSON.
      {"[24,48]}}", "[24,48]}^", syntax("object - unexpected end of input; expected '}'")},
      {"[24,48]}}", "[24,48]^", syntax("object - unexpected end of input; expected '}'")},
      {"[24,48]}}", "[24,4^", syntax("array - unexpected end of input; expected ']'")},
      {"[24,48]}}", "[24,48]},^}", syntax("object key - unexpected '}'; expected string literal")},
      {"[24,48]}}", "[24,48]}}^}", syntax("value - unexpected '}'; expected end of input")},
      {"[24,48]}}", "[24,48]}} ^{", syntax("value - unexpected '{'; expected end of input")},
      {"},", "} \"b^\":{},", syntax("object - unexpected string literal; expected '}'")},
      {"\"w\":", "\"w\"^=", syntax("object separator - invalid literal; expected ':'")},
      {"\"w\":", "\"w\"^", syntax("object separator - unexpected '{'; expected ':'")},
      {"{\"w\"", "{^w", syntax("object key - invalid literal; expected string literal")},
      {"{\"w\"", "{^1", syntax("object key - unexpected number literal; expected string literal")},
      {"[2,3]", "[2,3,^]", syntax("value - unexpected ']'; expected '[', '{', or a literal")},
      {"[2,3]", "[2,3^}", syntax("array - unexpected '}'; expected ']'")},
      {"[2,3]", "[2 ^3]", syntax("array - unexpected number literal; expected ']'")},
      {"[2,3]", "[2,0^3]", syntax("array - unexpected number literal; expected ']'")},
      {"[2,3]", "[2,0^x3]", syntax("array - invalid literal; expected ']'")},
      {"[2,3]", "[2 ^;3]", syntax("array - invalid literal; expected ']'")},
      {"[2,3]", "[^+2,3]", syntax("value - invalid literal")},
      {"[2,3]", "[^NaN,3]", syntax("value - invalid literal")},
      {"[2,3]", "[^/**/2,3]", syntax("value - invalid literal")},
      {"[2,3]", "[2.^,3]", syntax("value - invalid number; expected digit after '.'")},
      // Names.
      {"\"b\"", "^\"w\"", R"(header: expected each name once, found "w" again)"},
      {"\"b\"", "^\"\\u0077\"", R"(header: expected each name once, found "w" again)"},
      {"\"w\"", "^\"" + std::string(257, 'n') + "\"",
       "tensor \"" + std::string(64, 'n') +
           "\"...: expected a name of at most 256 bytes, found 257"},
      {"\"w\":{", "\"w\":{\"dtype\":\"F32\",^",
       R"(tensor "w": expected each name once, found "dtype" again)"},
      {"\"w\":{", "\"w\":{^\"more\":1,", "tensor \"w\": " + keys + "\"more\""},
      {"\"dtype\"", "^\"Dtype\"", "tensor \"w\": " + keys + "\"Dtype\""},
      {"\"w\":{\"dtype\":\"F32\",", "^\"w\":{", "tensor \"w\": " + keys + "no dtype"},
      {"\"w\":{\"dtype\":\"F32\",\"shape\":[2,3],", "^\"w\":{\"dtype\":\"F32\",",
       "tensor \"w\": " + keys + "no shape"},
      {"\"w\":{\"dtype\":\"F32\",\"shape\":[2,3],\"data_offsets\":[0,24]}",
       "^\"w\":{\"dtype\":\"F32\",\"shape\":[2,3]}", "tensor \"w\": " + keys + "no data_offsets"},
      {"{\"w\"", "{\"__metadata__\":^[],\"w\"", "__metadata__: expected an object, found an array"},
      {"{\"w\"", "{\"__metadata__\":{\"a\":^1},\"w\"",
       R"(__metadata__: "a": expected a string, found an unsigned 64-bit integer)"},
      {"{\"w\"", "{\"__metadata__\":{\"a\":\"\",^\"a\":\"\"},\"w\"",
       R"(__metadata__: expected each name once, found "a" again)"},
      {"{\"w\"", "{\"__metadata__\":{},^\"__metadata__\":{},\"w\"",
       R"(header: expected each name once, found "__metadata__" again)"},
      // Types.
      {"\"w\":{", "\"w\":^[{", R"(tensor "w": expected an object, found an array)"},
      {"\"w\":{", "\"w\": ^null,{", R"(tensor "w": expected an object, found null)"},
      {"\"w\":{", "\"w\":{\"shape\":^{",
       R"(tensor "w": shape: expected an array, found an object)"},
      {"\"F32\"", "^null", R"(tensor "w": dtype: expected a string, found null)"},
      {"\"F32\"", "^\"F16\"", R"(tensor "w": dtype: expected "F32" or "F64", found "F16")"},
      {"\"F32\"", "^\"f32\"", R"(tensor "w": dtype: expected "F32" or "F64", found "f32")"},
      {"\"F32\"", "^\"\"", R"(tensor "w": dtype: expected "F32" or "F64", found "")"},
      {"\"F32\"", "^32",
       R"(tensor "w": dtype: expected a string, found an unsigned 64-bit integer)"},
      // Shapes.
      {"[2,3]", "^6", R"(tensor "w": shape: expected an array, found an unsigned 64-bit integer)"},
      {"[2,3]", "[^-2,3]", shape + "a signed integer"},
      {"[2,3]", "[2,^-0]", shape + "a signed integer"},
      {"[2,3]", "[2 ,\n^3.0]", shape + "\"3.0\""},
      {"[2,3]", "[2,^3e0]", shape + "\"3e0\""},
      {"[2,3]", "[2,^1e999]", shape + "\"1e999\""},
      {"[2,3]", "[^\"2\",3]", shape + "a string"},
      {"[2,3]", "[^[2],3]", shape + "an array"},
      {"[2,3]", "[^{},3]", shape + "an object"},
      {"[2,3]", "[^null,3]", shape + "null"},
      {"[2,3]", "[2,^true]", shape + "true"},
      {"[2,3]", "[2,^false]", shape + "false"},
      {"[2,3]", "[1,1,2,3,^1]", R"(tensor "w": shape: expected at most 4 dimensions, found more)"},
      {"[2,3]", "[^18446744073709551616]", shape + "\"18446744073709551616\""},
      {"[2,3]", "[^9223372036854775808]",
       R"(tensor "w": shape: expected sizes below 2^63, found 9223372036854775808)"},
      // Offsets; what stands before them and the shape leave one possibility.
      {"[0,24]", "^24",
       R"(tensor "w": data_offsets: expected an array, found an unsigned 64-bit integer)"},
      {"[0,24]", "[^-1,24]",
       R"(tensor "w": data_offsets: expected an unsigned 64-bit integer, found a signed integer)"},
      {"[0,24]", "^[]", R"(tensor "w": data_offsets: expected [0,24], found [])"},
      {"[0,24]", "^[0]", R"(tensor "w": data_offsets: expected [0,24], found [0])"},
      {"[0,24]", "[0,24,^24]", R"(tensor "w": data_offsets: expected 2 numbers, found more)"},
      {"[0,24]", "^[24,0]", R"(tensor "w": data_offsets: expected [0,24], found [24,0])"},
      {"[0,24]", "^[1,25]", R"(tensor "w": data_offsets: expected [0,24], found [1,25])"},
      {"[0,24]", "^[0,23]", R"(tensor "w": data_offsets: expected [0,24], found [0,23])"},
      {"[0,24]", "^[0,25]", R"(tensor "w": data_offsets: expected [0,24], found [0,25])"},
      {"[0,24]", "^[24,48]", R"(tensor "w": data_offsets: expected [0,24], found [24,48])"},
      {"[0,24]", "^[18446744073709551615,24]",
       R"(tensor "w": data_offsets: expected [0,24], found [18446744073709551615,24])"},
      {"[24,48]", "^[23,47]", R"(tensor "b": data_offsets: expected [24,48], found [23,47])"},
      {"[24,48]", "^[25,49]", R"(tensor "b": data_offsets: expected [24,48], found [25,49])"},
      {"[24,48]", "^[0,24]", R"(tensor "b": data_offsets: expected [24,48], found [0,24])"},
      {"[2,3]" + offsets, "[2,4]" + offsets + "^",
       R"(tensor "w": data_offsets: expected [0,32], found [0,24])"},
      {"[3]" + offsets, "[0]" + offsets + "^",
       R"(tensor "b": data_offsets: expected [24,24], found [24,48])"},
      {"\"F32\",\"shape\":[2,3]" + offsets, "\"F64\",\"shape\":[2,3]" + offsets + "^",
       R"(tensor "w": data_offsets: expected [0,48], found [0,24])"},
      {"\"F64\",\"shape\":[3]" + offsets, "\"F32\",\"shape\":[3]" + offsets + "^",
       R"(tensor "b": data_offsets: expected [24,36], found [24,48])"},
      // Sizes whose product passes 2^63.
      {"\"w\":{\"dtype\":\"F32\",\"shape\":[2,3]",
       "^\"w\":{\"dtype\":\"F32\",\"shape\":[" + huge + "]",
       "tensor \"w\": shape: expected less than 2^63 bytes in all, found [" + huge + "]"},
      {"\"w\":{\"dtype\":\"F32\",\"shape\":[2,3]",
       "^\"w\":{\"dtype\":\"F32\",\"shape\":[2147483648,2147483648]",
       "tensor \"w\": shape: expected less than 2^63 bytes in all, found [2147483648,2147483648]"},
      {"\"w\":{\"dtype\":\"F32\",\"shape\":[2,3]",
       "^\"w\":{\"dtype\":\"F32\",\"shape\":[65536,65536,65536,65536]",
       "tensor \"w\": shape: expected less than 2^63 bytes in all, found "
       "[65536,65536,65536,65536]"},
      {"\"b\":{\"dtype\":\"F64\",\"shape\":[3]",
       "^\"b\":{\"dtype\":\"F64\",\"shape\":[1152921504606846975]",
       "tensor \"b\": shape: expected less than 2^63 bytes in all, found [1152921504606846975]"},
  };
  CHECK(changes.size() >= 60);
  for (const Change& change : changes) {
    std::string header = good_text;
    const std::size_t from = header.find(change.from);
    REQUIRE(from != header.npos);
    header.replace(from, change.from.size(), change.to);
    const std::size_t mark = header.find('^');
    REQUIRE(mark != header.npos);
    header.erase(mark, 1);
    INFO(header);
    CHECK(reading_refusal(header) == "f: byte " + std::to_string(8 + mark) + ": " + change.message);
  }
}

TEST_CASE("safetensors header: what would not load is not written") {
  CHECK(writing_refusal(named({"a", "b", "a"})) ==
        "safetensors header: byte 118: header: expected each name once, found \"a\" again");
  CHECK(writing_refusal(named({std::string(257, 'n')})) ==
        "safetensors header: byte 9: tensor \"" + std::string(64, 'n') +
            "\"...: expected a name of at most 256 bytes, found 257");
  CHECK_NOTHROW(header_text(named({std::string(256, 'n')})));
  CHECK(writing_refusal(named({"a", "\xFF"})) ==
        "safetensors header: \"\\xff\": expected UTF-8, got other bytes");
  CHECK(writing_refusal({.metadata = {{"key", "\xC3"}}, .tensors = {}}) ==
        "safetensors header: \"__metadata__\": expected UTF-8, got other bytes");
  CHECK(writing_refusal(named({"__metadata__"})) ==
        "safetensors header: byte 47: __metadata__: \"shape\": expected a string, found an array");
  CHECK(writing_refusal({.metadata = {{"key", std::string(100'000'000, ' ')}}, .tensors = {}}) ==
        "safetensors header: bytes: expected <= 100000000, got 100000032");
}
