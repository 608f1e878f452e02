// SPDX-License-Identifier: MIT
#include <selgate/io/safetensors.hpp>

#include <string>
#include <vector>

#include "catch.hpp"
#include "scratch.hpp"

using io_test::refusal;
using selgate::Dtype;
using selgate::SafetensorsHeader;
using selgate::Shape;
using selgate::Tensor;
using selgate::detail::header_text;
using selgate::detail::parse_header;

namespace {

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
  return refusal<selgate::config_error>([&] { header_text(header); });
}

}  // namespace

TEST_CASE("safetensors: the text of a header") {
  CHECK(header_text({}) == "{}      ");
  CHECK(header_text({.metadata = {{"b", "2"}, {"a", "\"1\"\n"}}, .tensors = {}}) ==
        R"({"__metadata__":{"a":"\"1\"\u000a","b":"2"}}    )");
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

TEST_CASE("safetensors: a written header reads back") {
  const SafetensorsHeader header{
      .metadata = {{"", ""}, {"\xC3\xA9\n", "\xF0\x9F\x98\x80\\"}, {"a", "__metadata__"}},
      .tensors = {{"gates.1.W", Dtype::f32, {2, 3, 5, 7}, 0, 840},
                  {"\xE2\x82\xAC \"", Dtype::f64, {1}, 840, 848}}};
  const SafetensorsHeader read = parse_header("f", header_text(header));
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

TEST_CASE("safetensors: JSON that others write") {
  // Keys in another order, spaces, escapes, metadata at the end, no padding.
  const SafetensorsHeader header = parse_header(
      "f",
      "{ \"\\u0077\" : {\n\"shape\": [2, 3], \"data_offsets\": [0, 48], \"dtype\": \"F64\" } ,\t"
      "\"__metadata__\": { \"format\" : \"pt\" } }");
  REQUIRE(header.tensors.size() == 1);
  CHECK(header.tensors[0].name == "w");
  CHECK(header.tensors[0].dtype == Dtype::f64);
  CHECK(header.tensors[0].shape == Shape{2, 3});
  CHECK(header.tensors[0].header_byte == 10);
  CHECK(header.data_size() == 48);
  CHECK(header.metadata.at("format") == "pt");
}

TEST_CASE("safetensors: headers that would not load are not written") {
  CHECK(writing_refusal(named({"a", "b", "a"})) ==
        "safetensors header: byte 118: header: expected each name once, found \"a\" again");
  CHECK(writing_refusal(named({std::string(257, 'n')})) ==
        "safetensors header: byte 9: tensor \"" + std::string(64, 'n') +
            "\"...: expected a name of at most 256 bytes, found 257");
  CHECK_NOTHROW(header_text(named({std::string(256, 'n')})));
  CHECK(writing_refusal(named({"\xFF"})) ==
        "safetensors header: byte 10: header: name: expected UTF-8 and a closing quote, found "
        "\"\\xff\"");
  CHECK(writing_refusal(named({"__metadata__"})) ==
        "safetensors header: byte 47: __metadata__: \"shape\": expected a string, found \"[\"");
  CHECK(writing_refusal({.metadata = {{"key", "\xC3"}}, .tensors = {}}) ==
        "safetensors header: byte 32: __metadata__: \"key\": expected UTF-8 and a closing quote, "
        "found \"\\xc3\"");
  CHECK(writing_refusal({.metadata = {{"key", std::string(100'000'000, ' ')}}, .tensors = {}}) ==
        "safetensors header: bytes: expected <= 100000000, got 100000032");
}
