// SPDX-License-Identifier: MIT
#include "train/idx.hpp"

#include "catch.hpp"
#include "message_of.hpp"
#include "temporary_directory.hpp"

#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include <array>
#include <filesystem>
#include <string>
#include <vector>

using Catch::Matchers::ContainsSubstring;
using Catch::Matchers::EndsWith;
using Catch::Matchers::StartsWith;
using selgate::data_error;
using selgate::io_error;
using selgate::to_text;
using selgate::examples::ByteSource;
using selgate::examples::read_idx_images;
using selgate::examples::read_idx_labels;
using selgate::examples::read_labelled_images;
using selgate::test::message_of;
using selgate::test::TemporaryDirectory;

namespace {

std::string big_endian(std::uint32_t value) {
  std::string bytes;
  for (int shift = 24; shift >= 0; shift -= 8) bytes += static_cast<char>((value >> shift) & 255u);
  return bytes;
}

std::string images_header(std::uint32_t count, std::uint32_t rows, std::uint32_t cols) {
  return big_endian(0x803) + big_endian(count) + big_endian(rows) + big_endian(cols);
}
/// Three images of 2 x 4 with the bytes 0, 1, 2, ...
std::string some_images() {
  std::string bytes = images_header(3, 2, 4);
  for (int i = 0; i < 24; ++i) bytes += static_cast<char>(i);
  return bytes;
}
std::string some_labels() { return big_endian(0x801) + big_endian(3) + std::string("\7\0\x9", 3); }

/// One gzip member of the content and, after it, so many MiB of zeros.
std::string gzip(const std::string& content, std::size_t mebibytes_of_zeros = 0) {
  z_stream stream{};
  REQUIRE(deflateInit2(&stream, 9, Z_DEFLATED, 16 + MAX_WBITS, 9, Z_DEFAULT_STRATEGY) == Z_OK);
  const std::size_t size = content.size() + (mebibytes_of_zeros << 20);
  std::string packed(size / 500 + content.size() + 100, '\0');
  stream.next_out = reinterpret_cast<Bytef*>(packed.data());
  stream.avail_out = static_cast<uInt>(packed.size());
  auto add = [&](std::string input, int flush) {
    stream.next_in = reinterpret_cast<Bytef*>(input.data());
    stream.avail_in = static_cast<uInt>(input.size());
    return deflate(&stream, flush);
  };
  REQUIRE(add(content, Z_NO_FLUSH) == Z_OK);
  const std::string zeros(std::size_t{1} << 20, '\0');
  for (std::size_t i = 0; i < mebibytes_of_zeros; ++i) REQUIRE(add(zeros, Z_NO_FLUSH) == Z_OK);
  REQUIRE(add({}, Z_FINISH) == Z_STREAM_END);
  packed.resize(stream.total_out);
  deflateEnd(&stream);
  return packed;
}
std::string with_byte(std::string bytes, std::size_t place, int value) {
  bytes.at(place) = static_cast<char>(value);
  return bytes;
}
std::string cut(const std::string& bytes, std::size_t size) { return bytes.substr(0, size); }

struct Malformed {
  std::string name;  // of the file; "labels" in it: read as labels
  std::string bytes;
  std::string message;  // after the path
};

std::vector<Malformed> malformed_files() {
  const std::string images = some_images(), labels = some_labels();
  const std::string packed = gzip(images), packed_labels = gzip(labels);
  const std::size_t trailer = packed.size() - 8;  // CRC-32, then the size
  const std::string gib = to_text(ByteSource::max_content);
  return {
      {"empty", "", "byte 0: content: expected 16 bytes, found 0"},
      {"cut in magic", cut(images, 3), "byte 3: content: expected 16 bytes, found 3"},
      {"cut in sizes", cut(images, 15), "byte 15: content: expected 16 bytes, found 15"},
      {"header only", cut(images, 16), "byte 16: content: expected 40 bytes, found 16"},
      {"cut in content", cut(images, 39), "byte 16: content: expected 40 bytes, found 39"},
      {"one byte more", images + "x", "byte 16: content: expected 40 bytes, found 41"},
      {"two files joined", images + images, "byte 16: content: expected 40 bytes, found 80"},
      {"text", "P5\n28 28\n255\n    ",
       "byte 0: magic number: expected 0x00000803, found 0x50350a32"},
      {"second byte", with_byte(images, 1, 1),
       "byte 0: magic number: expected 0x00000803, found 0x00010803"},
      {"little-endian", std::string("\3\x8\0\0", 4) + images.substr(4),
       "byte 0: magic number: expected 0x00000803, found 0x03080000 (bytes reversed: "
       "little-endian)"},
      {"packed under a plain name", packed,
       "byte 0: magic number: expected 0x00000803, found 0x1f8b0800 (a gzip file not named .gz)"},
      {"floats", with_byte(images, 2, 0x0D),
       "byte 2: type of the elements: expected 0x08 (unsigned byte), found 0x0d"},
      {"rank 4", with_byte(images, 3, 4), "byte 3: rank: expected 3, found 4"},
      {"labels as images", labels, "byte 3: rank: expected 3, found 1"},
      {"images as labels", images, "byte 3: rank: expected 1, found 3"},
      {"no images", images_header(0, 28, 28), "byte 4: number of images: expected >= 1, found 0"},
      {"no rows", images_header(1, 0, 28), "byte 8: rows: expected >= 1, found 0"},
      {"no columns", images_header(1, 28, 0), "byte 12: columns: expected >= 1, found 0"},
      {"no labels", big_endian(0x801) + big_endian(0),
       "byte 4: number of labels: expected >= 1, found 0"},
      {"largest count", images_header(0xFFFFFFFF, 28, 28),
       "byte 4: sizes: expected at most " + gib + " bytes, found 4294967295 x 28 x 28"},
      {"product 0 in 32 bits", images_header(1u << 16, 1u << 8, 1u << 8),
       "byte 4: sizes: expected at most " + gib + " bytes, found 65536 x 256 x 256"},
      {"product 1 in 64 bits", images_header(0xFFFFFFFF, 0xFFFFFFFF, 0xFFFFFFFF),
       "byte 4: sizes: expected at most " + gib +
           " bytes, found 4294967295 x 4294967295 x 4294967295"},
      {"a GiB on paper", images_header(1u << 20, 32, 32),
       "byte 16: content: expected 1073741840 bytes, found 16"},
      {"largest count of labels", big_endian(0x801) + big_endian(0xFFFFFFFF),
       "byte 4: sizes: expected at most " + gib + " bytes, found 4294967295"},
      {"label 10 in labels", with_byte(labels, 9, 10), "byte 9: label 1: expected 0..9, found 10"},
      {"label 255 in labels", with_byte(labels, 10, 255),
       "byte 10: label 2: expected 0..9, found 255"},

      {"empty.gz", "",
       "packed byte 0: gzip: expected a whole gzip file, found the end of the file"},
      {"plain.gz", images,
       "packed byte 2: gzip: expected an undamaged gzip file, found incorrect header check"},
      {"second magic byte.gz", with_byte(packed, 1, 0x8C),
       "packed byte 2: gzip: expected an undamaged gzip file, found incorrect header check"},
      {"method.gz", with_byte(packed, 2, 7),
       "packed byte 4: gzip: expected an undamaged gzip file, found unknown compression method"},
      {"cut in gzip header.gz", cut(packed, 9),
       "packed byte 9: gzip: expected a whole gzip file, found the end of the file"},
      {"cut in gzip content.gz", cut(packed, trailer - 4),
       "gzip: expected a whole gzip file, found the end of the file"},
      {"cut before trailer.gz", cut(packed, trailer),
       "gzip: expected a whole gzip file, found the end of the file"},
      {"cut in trailer.gz", cut(packed, packed.size() - 1),
       "gzip: expected a whole gzip file, found the end of the file"},
      {"wrong check sum.gz", with_byte(packed, trailer, packed[trailer] ^ 1),
       "gzip: expected an undamaged gzip file, found incorrect data check"},
      {"wrong size in trailer.gz", with_byte(packed, trailer + 4, packed[trailer + 4] ^ 1),
       "gzip: expected an undamaged gzip file, found incorrect length check"},
      {"garbage after the end.gz", packed + "x",
       "packed byte " + to_text(packed.size()) +
           ": gzip: expected the end of the file, found more bytes"},
      {"two members.gz", packed + packed,
       "packed byte " + to_text(packed.size()) +
           ": gzip: expected the end of the file, found more bytes"},
      {"short content.gz", gzip(cut(images, 39)), "byte 39: content: expected 40 bytes, found 39"},
      {"long content.gz", gzip(images + "x"), "byte 41: content: expected 40 bytes, found more"},
      {"bomb.gz", gzip(images, 1), "byte 41: content: expected 40 bytes, found more"},
      {"more than deflate can pack.gz", gzip(images_header(1u << 18, 32, 32)),
       "byte 16: content: expected 268435472 bytes, found 31 packed"},
      {"labels one too many.gz", gzip(labels + '\1'),
       "byte 12: content: expected 11 bytes, found more"},
      {"labels cut.gz", cut(packed_labels, packed_labels.size() - 1),
       "gzip: expected a whole gzip file, found the end of the file"},
  };
}

}  // namespace

TEST_CASE("idx: reads images and labels, plain and packed") {
  const TemporaryDirectory directory;
  const bool packed = GENERATE(false, true);
  const std::string suffix = packed ? ".gz" : "";
  auto write = [&](const std::string& name, const std::string& bytes) {
    return directory.write(name + suffix, packed ? gzip(bytes) : bytes);
  };
  const auto data =
      read_labelled_images(write("images", some_images()), write("labels", some_labels()));
  CHECK(data.images.count == 3);
  CHECK(data.images.rows == 2);
  CHECK(data.images.cols == 4);
  REQUIRE(data.images.bytes.size() == 24);
  for (std::size_t i = 0; i < 24; ++i) CHECK(data.images.bytes[i] == i);
  CHECK(data.images.image(2).size() == 8);
  CHECK(data.images.image(2)[0] == 16);
  CHECK(data.labels == std::vector<std::uint8_t>{7, 0, 9});
}

TEST_CASE("idx: more classes on request") {
  const TemporaryDirectory directory;
  const auto file = directory.write("labels", with_byte(some_labels(), 9, 46));
  CHECK(read_idx_labels(file, 47) == std::vector<std::uint8_t>{7, 46, 9});
  CHECK_THAT(message_of<data_error>([&] { read_idx_labels(file, 46); }),
             EndsWith("byte 9: label 1: expected 0..45, found 46"));
}

TEST_CASE("idx: malformed files are refused with file, place, expected and found") {
  const TemporaryDirectory directory;
  for (const Malformed& kind : malformed_files()) {
    const auto file = directory.write(kind.name, kind.bytes);
    const bool labels =
        kind.name.find("label") != std::string::npos && kind.name != "labels as images";
    const std::string message = message_of<data_error>([&] {
      if (labels) {
        read_idx_labels(file);
      } else {
        read_idx_images(file);
      }
    });
    INFO(kind.name);
    CHECK_THAT(message, StartsWith(file.string() + ": "));
    CHECK_THAT(message, EndsWith(": " + kind.message));
  }
}

TEST_CASE("idx: a file cut anywhere is refused") {
  const TemporaryDirectory directory;
  const std::string images = some_images(), packed = gzip(images);
  for (std::size_t size = 0; size < images.size(); ++size) {
    const auto file = directory.write("cut", cut(images, size));
    CHECK_THROWS_AS(read_idx_images(file), data_error);
  }
  for (std::size_t size = 0; size < packed.size(); ++size) {
    const auto file = directory.write("cut.gz", cut(packed, size));
    CHECK_THROWS_AS(read_idx_images(file), data_error);
  }
}

TEST_CASE("idx: no flipped bit of a packed file changes the data in silence") {
  const TemporaryDirectory directory;
  const std::string packed = gzip(some_images());
  const auto intact = read_idx_images(directory.write("intact.gz", packed)).bytes;
  int accepted = 0;
  for (std::size_t bit = 0; bit < 8 * packed.size(); ++bit) {
    const auto file =
        directory.write("flip.gz", with_byte(packed, bit / 8, packed[bit / 8] ^ (1 << (bit % 8))));
    try {
      const auto bytes = read_idx_images(file).bytes;
      CHECK(bytes == intact);
      ++accepted;
    } catch (const data_error&) {
    }
  }
  // Bits that carry no data: time stamp, system and level (48), a flag (1), the last byte's
  // filling.
  CHECK(accepted <= 48 + 1 + 7);
}

TEST_CASE("idx: memory is bounded by the header's sizes, and these by the file") {
  const TemporaryDirectory directory;
  const auto bomb = directory.write("bomb.gz", gzip(some_images(), 256));
  CHECK(std::filesystem::file_size(bomb) < (1u << 19));
  auto peak_kibibytes = [] {
    rusage usage{};
    getrusage(RUSAGE_SELF, &usage);
    return usage.ru_maxrss;
  };
  const long before = peak_kibibytes();
  CHECK_THAT(message_of<data_error>([&] { read_idx_images(bomb); }),
             EndsWith("byte 41: content: expected 40 bytes, found more"));
  CHECK(peak_kibibytes() - before < 32 * 1024);
}

TEST_CASE("idx: what the system refuses is an io_error with path and reason") {
  const TemporaryDirectory directory;
  auto message = [](const std::filesystem::path& path) {
    return message_of<io_error>([&] { read_idx_images(path); });
  };
  const auto missing = directory.path() / "missing";
  CHECK(message(missing) == missing.string() + ": open: No such file or directory");
  CHECK_THAT(message(directory.path()),
             ContainsSubstring(": open: expected a regular file, found a directory"));

  const auto fifo = directory.path() / "fifo";
  REQUIRE(mkfifo(fifo.c_str(), 0600) == 0);
  CHECK_THAT(message(fifo), ContainsSubstring("expected a regular file, found a pipe or device"));
  CHECK_THAT(message("/dev/zero"), ContainsSubstring("found a pipe or device"));

  const auto loop = directory.path() / "loop";
  std::filesystem::create_symlink(loop, loop);
  CHECK_THAT(message(loop), StartsWith(loop.string() + ": open: Too many levels"));

  if (geteuid() != 0) {  // root may read all
    const auto closed = directory.write("closed", some_images());
    std::filesystem::permissions(closed, std::filesystem::perms::none);
    CHECK(message(closed) == closed.string() + ": open: Permission denied");
  }
  if (std::filesystem::exists("/proc/self/mem")) {  // opens, but nothing is mapped at its start
    CHECK(message("/proc/self/mem") == "/proc/self/mem: read: Input/output error");
  }
  try {
    read_idx_images(missing);
  } catch (const io_error& error) {
    CHECK(error.std::system_error::code() == std::errc::no_such_file_or_directory);
  }
}

TEST_CASE("idx: images and labels that differ in number are refused, naming both files") {
  const TemporaryDirectory directory;
  const auto images = directory.write("images", some_images());
  const auto labels = directory.write("labels", big_endian(0x801) + big_endian(2) + "\1\2");
  CHECK(message_of<data_error>([&] { read_labelled_images(images, labels); }) ==
        labels.string() + ": byte 4: number of labels: expected 3 as in " + images.string() +
            ", found 2");
}

TEST_CASE("idx: Fashion-MNIST as Debian packs it") {
  const std::filesystem::path directory = "/usr/share/datasets/fashion-mnist";
  if (!std::filesystem::exists(directory)) {
    WARN("skipped: package dataset-fashion-mnist is not installed");
    return;
  }
  const auto data = read_labelled_images(directory / "t10k-images-idx3-ubyte.gz",
                                         directory / "t10k-labels-idx1-ubyte.gz");
  CHECK(data.images.count == 10000);
  CHECK(data.images.rows == 28);
  CHECK(data.images.cols == 28);
  std::array<int, 10> per_class{};
  for (std::uint8_t label : data.labels) ++per_class[label];
  for (int count : per_class) CHECK(count == 1000);

  const auto train = read_labelled_images(directory / "train-images-idx3-ubyte.gz",
                                          directory / "train-labels-idx1-ubyte.gz");
  CHECK(train.images.count == 60000);
  CHECK(train.images.bytes.size() == 60000u * 784u);
  std::array<int, 10> train_per_class{};
  for (std::uint8_t label : train.labels) ++train_per_class[label];
  for (int count : train_per_class) CHECK(count == 6000);
}
