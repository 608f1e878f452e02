// SPDX-License-Identifier: MIT
#include <selgate/io/safetensors_file.hpp>

#include <filesystem>
#include <string>
#include <vector>

#include "catch.hpp"
#include "scratch.hpp"

using io_test::get;
using io_test::put;
using io_test::refusal;
using io_test::Scratch;
using selgate::checkpoint_error;
using selgate::SafetensorsFile;
using namespace std::string_literals;

namespace {

const std::string good_header = R"({"w":{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]},)"
                                R"("b":{"dtype":"F64","shape":[3],"data_offsets":[24,48]}})";
constexpr std::size_t good_data = 48;

std::string length_bytes(std::uint64_t length) {
  std::string bytes;
  for (int i = 0; i < 8; ++i) bytes += static_cast<char>(length >> (8 * i) & 0xFF);
  return bytes;
}
std::string file_bytes(const std::string& header, std::size_t data = good_data) {
  return length_bytes(header.size()) + header + std::string(data, '\0');
}

/// What SafetensorsFile says about these bytes, without the file's name.
std::string open_refusal(const std::string& bytes) {
  const Scratch scratch;
  put(scratch / "f", bytes);
  const std::string text = refusal<checkpoint_error>([&] { SafetensorsFile(scratch / "f"); });
  const std::string name = (scratch / "f").string() + ": ";
  REQUIRE(text.starts_with(name));
  return text.substr(name.size());
}

/// A change of the good header: the first `from` becomes `to`, where ^ stands before the byte that
/// the message must name.
struct Change {
  std::string from, to, message;
};

}  // namespace

TEST_CASE("safetensors file: a good one") {
  const Scratch scratch;
  std::string bytes = file_bytes(good_header);
  bytes.replace(bytes.size() - 24, 24, "abcdefghijklmnopqrstuvwx");
  put(scratch / "f", bytes);
  const SafetensorsFile file(scratch / "f");
  REQUIRE(file.header().tensors.size() == 2);
  std::string read(24, '.');
  file.read(file.header().tensors[1], read.data());
  CHECK(read == "abcdefghijklmnopqrstuvwx");
  CHECK(file.data_byte(file.header().tensors[1]) == bytes.size() - 24);
  CHECK(file.name() == (scratch / "f").string());
}

TEST_CASE("safetensors file: malformed headers") {
  const std::string keys = "expected dtype, shape and data_offsets, found ";
  const std::string offsets = ",\"data_offsets\":";
  const std::string huge = std::to_string(std::uint64_t{1} << 62);
  const std::vector<Change> changes{
      // Not the JSON that a header is.
      {"{", "^[", R"(header: expected '{', found "[")"},
      {"{", "^ {", R"(header: expected '{', found " ")"},
      {"{", "^\xEF\xBB\xBF{", R"(header: expected '{', found "\xef")"},
      {"[24,48]}}", "[24,48]}^", "header: expected ',' or '}', found the end of the text"},
      {"[24,48]}}", "[24,48]^", R"(tensor "b": expected ',' or '}', found the end of the text)"},
      {"[24,48]}}", "[24,48]},^}", R"(header: name: expected a string, found "}")"},
      {"[24,48]}}", "[24,48]}}^}", R"(header: expected spaces up to the end, found "}")"},
      {"[24,48]}}", "[24,48]}} ^{", R"(header: expected spaces up to the end, found "{")"},
      {"[24,48]}}", "[24,48]}}^\0 "s, R"(header: expected spaces up to the end, found "\x00")"},
      {"[24,48]}}", "[24,48]}}^\n", R"(header: expected spaces up to the end, found "\x0a")"},
      {"},", "} ^", R"(header: expected ',' or '}', found "\"")"},
      {"\"w\":", "\"w\"^=", R"(header: expected ':', found "=")"},
      {"\"w\":{", "\"w\":^[", R"(tensor "w": expected '{', found "[")"},
      {"\"w\":{", "\"w\":^null,{", R"(tensor "w": expected '{', found "n")"},
      {"{\"w\"", "{^w", R"(header: name: expected a string, found "w")"},
      {"{\"w\"", "{^1", R"(header: name: expected a string, found "1")"},
      {"{\"w\"", "{\"^\x80\"", R"(header: name: expected UTF-8 and a closing quote, found "\x80")"},
      {"{\"w\"", "{\"^\\ud800\"", "header: name: expected surrogates in pairs, found one alone"},
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
       "^\"w\":{\"dtype\":\"F32\",\"shape\":[2,3]}",
       R"(tensor "w": data_offsets: expected [0,24], found [])"},
      {"{\"w\"", "{\"__metadata__\":^[],\"w\"", R"(__metadata__: expected '{', found "[")"},
      {"{\"w\"", "{\"__metadata__\":{\"a\":^1},\"w\"",
       R"(__metadata__: "a": expected a string, found "1")"},
      {"{\"w\"", "{\"__metadata__\":{\"a\":\"\",^\"a\":\"\"},\"w\"",
       R"(__metadata__: expected each name once, found "a" again)"},
      {"{\"w\"", "{\"__metadata__\":{},^\"__metadata__\":{},\"w\"",
       R"(header: expected each name once, found "__metadata__" again)"},
      // Types.
      {"\"F32\"", "^\"F16\"", R"(tensor "w": dtype: expected "F32" or "F64", found "F16")"},
      {"\"F32\"", "^\"f32\"", R"(tensor "w": dtype: expected "F32" or "F64", found "f32")"},
      {"\"F32\"", "^\"\"", R"(tensor "w": dtype: expected "F32" or "F64", found "")"},
      {"\"F32\"", "^32", R"(tensor "w": dtype: expected a string, found "3")"},
      // Shapes.
      {"[2,3]", "^6", R"(tensor "w": shape: expected '[', found "6")"},
      {"[2,3]", "[^-2,3]", R"(tensor "w": shape: expected an unsigned 64-bit integer, found "-2")"},
      {"[2,3]", "[2,^3.0]",
       R"(tensor "w": shape: expected an unsigned 64-bit integer, found "3.0")"},
      {"[2,3]", "[2,^03]", R"(tensor "w": shape: expected an unsigned 64-bit integer, found "03")"},
      {"[2,3]", "[^\"2\",3]",
       R"(tensor "w": shape: expected an unsigned 64-bit integer, found "\"2\"")"},
      {"[2,3]", "[2 ^;3]", R"(tensor "w": shape: expected ',' or ']', found ";")"},
      {"[2,3]", "[^[2],3]",
       R"(tensor "w": shape: expected an unsigned 64-bit integer, found "[2")"},
      {"[2,3]", "[1,1,2,3,^1]", R"(tensor "w": shape: expected at most 4 dimensions, found more)"},
      {"[2,3]", "[^18446744073709551616]",
       R"(tensor "w": shape: expected an unsigned 64-bit integer, found "18446744073709551616")"},
      {"[2,3]", "[^9223372036854775808]",
       R"(tensor "w": shape: expected sizes below 2^63, found 9223372036854775808)"},
      // Offsets; what stands before them and the shape leave one possibility.
      {"[0,24]", "^24", R"(tensor "w": data_offsets: expected '[', found "2")"},
      {"[0,24]", "[^-1,24]",
       R"(tensor "w": data_offsets: expected an unsigned 64-bit integer, found "-1")"},
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
    std::string header = good_header;
    const std::size_t from = header.find(change.from);
    REQUIRE(from != header.npos);
    header.replace(from, change.from.size(), change.to);
    const std::size_t mark = header.find('^');
    REQUIRE(mark != header.npos);
    header.erase(mark, 1);
    INFO(header);
    CHECK(open_refusal(file_bytes(header)) ==
          "byte " + std::to_string(8 + mark) + ": " + change.message);
  }
}

TEST_CASE("safetensors file: header lengths") {
  const std::size_t size = good_header.size();  // and 48 bytes behind it
  const auto with_length = [](std::uint64_t length) {
    return length_bytes(length) + file_bytes(good_header).substr(8);
  };
  const std::string most = std::to_string(size + good_data);
  for (const std::uint64_t length :
       {std::uint64_t{0}, std::uint64_t{1}, std::uint64_t{size + good_data + 1},
        std::uint64_t{1} << 31, std::uint64_t{1} << 32, std::uint64_t{1} << 63, ~std::uint64_t{0},
        ~std::uint64_t{0} - 7}) {
    CHECK(open_refusal(with_length(length)) ==
          "byte 0: header length (is this a safetensors file?): expected 2 to " + most +
              ", found " + std::to_string(length));
  }
  CHECK(open_refusal(with_length(size - 1)) ==
        "byte " + std::to_string(8 + size - 1) +
            ": header: expected ',' or '}', found the end of the text");
  CHECK(open_refusal(with_length(size + 1)) ==
        "byte " + std::to_string(8 + size) +
            R"(: header: expected spaces up to the end, found "\x00")");
  CHECK_THAT(open_refusal("This is a text, of more than a few bytes."),
             Catch::Matchers::ContainsSubstring("is this a safetensors file?"));

  // A header of 100,000,001 bytes, in a file that is long enough and takes no room.
  const Scratch scratch;
  put(scratch / "f", length_bytes(100'000'001) + "{}");
  std::filesystem::resize_file(scratch / "f", 200'000'000);
  CHECK_THAT(refusal<checkpoint_error>([&] { SafetensorsFile(scratch / "f"); }),
             Catch::Matchers::ContainsSubstring("expected 2 to 100000000, found 100000001"));
}

TEST_CASE("safetensors file: truncated anywhere, or longer") {
  const std::string bytes = file_bytes(good_header + "   ");
  const std::string whole = std::to_string(bytes.size());
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    INFO(size);
    const std::string text = open_refusal(bytes.substr(0, size));
    if (size < 8) {
      CHECK(text == "byte " + std::to_string(size) +
                        ": file length: expected 8 bytes of header length first, found " +
                        std::to_string(size));
    } else if (size < bytes.size() - good_data) {
      CHECK(text == "byte 0: header length (is this a safetensors file?): expected 2 to " +
                        std::to_string(size - 8) + ", found " +
                        std::to_string(good_header.size() + 3));
    } else {
      CHECK(text == "byte " + std::to_string(size) + ": file length: expected " + whole +
                        ", found " + std::to_string(size));
    }
  }
  for (std::size_t more = 1; more <= 64; ++more) {
    CHECK(open_refusal(bytes + std::string(more, '\0')) ==
          "byte " + whole + ": file length: expected " + whole + ", found " +
              std::to_string(bytes.size() + more));
  }
}

TEST_CASE("safetensors file: shrinks while it is open") {
  const Scratch scratch;
  const std::string bytes = file_bytes(good_header);
  put(scratch / "f", bytes);
  const SafetensorsFile file(scratch / "f");
  std::filesystem::resize_file(scratch / "f", bytes.size() - 1);
  std::string read(24, '.');
  CHECK_NOTHROW(file.read(file.header().tensors[0], read.data()));
  CHECK(refusal<checkpoint_error>([&] { file.read(file.header().tensors[1], read.data()); }) ==
        file.name() + ": byte " + std::to_string(bytes.size() - 1) + ": file length: expected " +
            std::to_string(bytes.size()) + ", as when it was opened, found " +
            std::to_string(bytes.size() - 1));
}

TEST_CASE("safetensors file: errors carry their parts") {
  const Scratch scratch;
  put(scratch / "f", "short");
  try {
    SafetensorsFile(scratch / "f");
    FAIL("nothing was thrown");
  } catch (const checkpoint_error& error) {
    CHECK(error.file() == (scratch / "f").string());
    CHECK(error.place() == "byte 5");
    CHECK(error.expected() == "8 bytes of header length first");
    CHECK(error.found() == "5");
    CHECK(error.code() == selgate::error::Code::checkpoint);
  }
}
