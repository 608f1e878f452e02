// SPDX-License-Identifier: MIT
#include <selgate/io/safetensors_file.hpp>

#include <filesystem>
#include <string>
#include <vector>

#include "catch.hpp"
#include "message_of.hpp"
#include "temporary_directory.hpp"

using selgate::checkpoint_error;
using selgate::SafetensorsFile;
using selgate::test::message_of;
using selgate::test::TemporaryDirectory;
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
  const TemporaryDirectory directory;
  directory.write("f", bytes);
  const std::string text = message_of<checkpoint_error>([&] { SafetensorsFile(directory / "f"); });
  const std::string name = (directory / "f").string() + ": ";
  REQUIRE(text.starts_with(name));
  return text.substr(name.size());
}

}  // namespace

TEST_CASE("safetensors file: a good one") {
  const TemporaryDirectory directory;
  std::string bytes = file_bytes(good_header);
  bytes.replace(bytes.size() - 24, 24, "abcdefghijklmnopqrstuvwx");
  directory.write("f", bytes);
  const SafetensorsFile file(directory / "f");
  REQUIRE(file.header().tensors.size() == 2);
  std::string read(24, '.');
  file.read(file.header().tensors[1], read.data());
  CHECK(read == "abcdefghijklmnopqrstuvwx");
  CHECK(file.data_byte(file.header().tensors[1]) == bytes.size() - 24);
  CHECK(file.name() == (directory / "f").string());
}

TEST_CASE("safetensors file: a malformed header") {
  std::string header = good_header;
  const std::size_t at = header.find("F32");
  CHECK(open_refusal(file_bytes(header.replace(at, 3, "F16"))) ==
        "byte " + std::to_string(8 + at - 1) +
            R"(: tensor "w": dtype: expected "F32" or "F64", found "F16")");
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
            ": header: expected JSON, found syntax error while parsing object - unexpected end of "
            "input; expected '}'");
  CHECK(open_refusal(with_length(size + 1)) ==
        "byte " + std::to_string(8 + size) + ": header: expected no NUL, found one");
  CHECK_THAT(open_refusal("This is a text, of more than a few bytes."),
             Catch::Matchers::ContainsSubstring("is this a safetensors file?"));

  // A header of 100,000,001 bytes, in a file that is long enough and takes no room.
  const TemporaryDirectory directory;
  directory.write("f", length_bytes(100'000'001) + "{}");
  std::filesystem::resize_file(directory / "f", 200'000'000);
  CHECK_THAT(message_of<checkpoint_error>([&] { SafetensorsFile(directory / "f"); }),
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
  const TemporaryDirectory directory;
  const std::string bytes = file_bytes(good_header);
  directory.write("f", bytes);
  const SafetensorsFile file(directory / "f");
  std::filesystem::resize_file(directory / "f", bytes.size() - 1);
  std::string read(24, '.');
  CHECK_NOTHROW(file.read(file.header().tensors[0], read.data()));
  CHECK(message_of<checkpoint_error>([&] { file.read(file.header().tensors[1], read.data()); }) ==
        file.name() + ": byte " + std::to_string(bytes.size() - 1) + ": file length: expected " +
            std::to_string(bytes.size()) + ", as when it was opened, found " +
            std::to_string(bytes.size() - 1));
}

TEST_CASE("safetensors file: errors carry their parts") {
  const TemporaryDirectory directory;
  directory.write("f", "short");
  try {
    SafetensorsFile(directory / "f");
    FAIL("nothing was thrown");
  } catch (const checkpoint_error& error) {
    CHECK(error.file() == (directory / "f").string());
    CHECK(error.place() == "byte 5");
    CHECK(error.expected() == "8 bytes of header length first");
    CHECK(error.found() == "5");
    CHECK(error.code() == selgate::error::Code::checkpoint);
  }
}
