// SPDX-License-Identifier: MIT
#pragma once

#include <selgate/core/error.hpp>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdint>
#include <filesystem>
#include <new>
#include <optional>
#include <span>
#include <string>

namespace selgate::examples {

/// The content of one regular file, read once from front to end; unpacked where the name ends in
/// ".gz", and then the file must be one whole gzip member: gzip trailers are checked, and nothing
/// may follow. (zlib's own gzread takes a cut file for a complete one, a plain file for a packed
/// one, and ignores what follows the member; so this calls inflate.)
///
/// Memory stays bounded whatever the file says: `limit` is known before anything is read, and
/// content comes in pieces of the caller's size.
///
/// Throws io_error where the system refuses (missing, no permission, a directory, a FIFO: opening
/// never blocks) and data_error where a gzip file is damaged.
class ByteSource {
 public:
  /// No content may be larger; a GiB holds each data set of this kind several times.
  static constexpr std::uint64_t max_content = std::uint64_t{1} << 30;

  explicit ByteSource(const std::filesystem::path& path)
      : path_(path.string()), file_(::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC)) {
    struct stat status {};
    if (file_.descriptor < 0 || ::fstat(file_.descriptor, &status) != 0) {
      throw io_error(errno, path_ + ": open");
    }
    if (!S_ISREG(status.st_mode)) {
      const bool directory = S_ISDIR(status.st_mode);
      const char* found = directory ? "directory" : "pipe or device";
      throw io_error(directory ? EISDIR : EINVAL,
                     path_ + ": open: expected a regular file, found a " + found);
    }
    size_on_disk_ = static_cast<std::uint64_t>(status.st_size);
    if (path.extension() == ".gz") gzip_.emplace();
  }

  [[nodiscard]] const std::string& path() const { return path_; }
  [[nodiscard]] bool packed() const { return gzip_.has_value(); }
  [[nodiscard]] std::uint64_t size_on_disk() const { return size_on_disk_; }
  /// Bytes of (unpacked) content read so far.
  [[nodiscard]] std::uint64_t position() const { return position_; }
  /// More bytes of content than this the file cannot hold: deflate packs at most 1032 bytes in one.
  [[nodiscard]] std::uint64_t limit() const {
    return (std::min)(max_content, packed() ? 1032 * size_on_disk_ : size_on_disk_);
  }

  /// Fills `to` and returns its size, or less where the content ends. At most max_content at once.
  std::size_t read(std::span<std::uint8_t> to) {
    const std::size_t count = packed() ? read_packed(to) : read_file(to);
    position_ += count;
    return count;
  }

 private:
  struct File {
    explicit File(int opened) : descriptor(opened) {}
    File(const File&) = delete;
    File& operator=(const File&) = delete;
    ~File() {
      if (descriptor >= 0) ::close(descriptor);
    }
    int descriptor;
  };
  struct Gzip {
    Gzip() {
      constexpr int only_gzip = 16 + MAX_WBITS;  // not zlib's own wrapping, not plain bytes
      if (inflateInit2(&stream, only_gzip) != Z_OK) throw std::bad_alloc();
    }
    Gzip(const Gzip&) = delete;
    Gzip& operator=(const Gzip&) = delete;
    ~Gzip() { inflateEnd(&stream); }
    z_stream stream{};
    std::array<std::uint8_t, 1 << 15> input;
    bool ended = false;
  };

  std::size_t read_file(std::span<std::uint8_t> to) const {
    std::size_t count = 0;
    while (count < to.size()) {
      const ssize_t got = ::read(file_.descriptor, to.data() + count, to.size() - count);
      if (got < 0 && errno == EINTR) continue;
      if (got < 0) throw io_error(errno, path_ + ": read");
      if (got == 0) break;
      count += static_cast<std::size_t>(got);
    }
    return count;
  }

  /// Whether there is input for inflate.
  bool refill() {
    z_stream& stream = gzip_->stream;
    if (stream.avail_in == 0) {
      stream.next_in = gzip_->input.data();
      stream.avail_in = static_cast<uInt>(read_file(gzip_->input));
    }
    return stream.avail_in != 0;
  }

  std::size_t read_packed(std::span<std::uint8_t> to) {
    z_stream& stream = gzip_->stream;
    stream.next_out = to.data();
    stream.avail_out = static_cast<uInt>(to.size());
    while (stream.avail_out != 0 && !gzip_->ended) {
      if (!refill()) refuse("a whole gzip file", "the end of the file");
      const int result = inflate(&stream, Z_NO_FLUSH);
      if (result == Z_MEM_ERROR) throw std::bad_alloc();
      gzip_->ended = result == Z_STREAM_END;
      if (!gzip_->ended && result != Z_OK) {
        refuse("an undamaged gzip file", stream.msg != nullptr ? stream.msg : zError(result));
      }
      if (gzip_->ended && refill()) refuse("the end of the file", "more bytes");
    }
    return to.size() - stream.avail_out;
  }

  [[noreturn]] void refuse(const char* expected, const char* found) const {
    throw data_error(path_, "packed byte " + to_text(gzip_->stream.total_in), "gzip", expected,
                     found);
  }

  std::string path_;
  File file_;
  std::uint64_t size_on_disk_ = 0, position_ = 0;
  std::optional<Gzip> gzip_;
};

}  // namespace selgate::examples
