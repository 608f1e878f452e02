// SPDX-License-Identifier: MIT
#pragma once

#include <selgate/core/error.hpp>

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <string>
#include <system_error>
#include <utility>

namespace selgate {

namespace detail {

/// Passes the result of a system call on, or throws io_error("path: operation: reason").
template <class Result>
Result checked(Result result, const std::string& path, const char* operation) {
  if (result < 0) {
    const int reason = errno;
    throw io_error(reason, path + ": " + operation);
  }
  return result;
}

class Descriptor {
 public:
  explicit Descriptor(int number = -1) : number_(number) {}
  Descriptor(Descriptor&& other) noexcept : number_(std::exchange(other.number_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(number_, other.number_);
    return *this;
  }
  ~Descriptor() {
    if (number_ >= 0) ::close(number_);
  }
  [[nodiscard]] int get() const { return number_; }

 private:
  int number_;
};

inline void require_regular(const struct stat& status, const std::string& path) {
  if (!S_ISREG(status.st_mode)) {
    throw io_error(S_ISDIR(status.st_mode) ? EISDIR : EINVAL, path + ": expected a regular file");
  }
}

}  // namespace detail

/// A regular file open for reading. Its size is known before anything is read, so that callers can
/// check every length in it first; a pipe or a device is refused and never waited for.
/// Throws io_error.
class InputFile {
 public:
  explicit InputFile(const std::filesystem::path& path) : name_(path.string()) {
    descriptor_ = detail::Descriptor(detail::checked(
        ::open(name_.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK), name_, "open for reading"));
    struct stat status;
    detail::checked(::fstat(descriptor_.get(), &status), name_, "fstat");
    detail::require_regular(status, name_);
    size_ = static_cast<std::uint64_t>(status.st_size);
  }

  [[nodiscard]] const std::string& name() const { return name_; }
  /// In bytes, when the file was opened.
  [[nodiscard]] std::uint64_t size() const { return size_; }

  /// Reads `size` bytes at `offset`. Returns how many there were: fewer only where the file ends.
  std::size_t read(std::uint64_t offset, void* to, std::size_t size) const {
    std::size_t done = 0;
    while (done < size) {
      const ssize_t count = ::pread(descriptor_.get(), static_cast<char*>(to) + done, size - done,
                                    static_cast<off_t>(offset + done));
      if (count < 0 && errno == EINTR) continue;
      if (detail::checked(count, name_, "read") == 0) break;
      done += static_cast<std::size_t>(count);
    }
    return done;
  }

 private:
  std::string name_;
  detail::Descriptor descriptor_;
  std::uint64_t size_ = 0;
};

/// A file that appears under its name whole or not at all, also after a crash or a power cut.
///
/// Bytes go to a temporary file in the same directory. `commit` sends them to the disk, renames the
/// file over `path` and sends the directory to the disk; readers see the old file or the new one.
/// Without a commit the temporary file is removed. What a killed process left behind is removed by
/// the next AtomicFile in that directory: a living one holds a lock on its own (flock).
///
/// A symbolic link stays a link: the file it leads to is replaced, beside that file. The new file
/// has the permissions of the old one, not its owner, access lists or further hard links. Where
/// several write one path, the last to commit wins. Throws io_error. If the directory's own fsync
/// is what failed, the new file is in place, but may not survive a power cut.
class AtomicFile {
 public:
  explicit AtomicFile(const std::filesystem::path& path) : path_(path.string()) {
    const std::filesystem::path target = followed(path);
    name_ = target.filename().string();
    const std::filesystem::path parent = target.has_parent_path() ? target.parent_path() : ".";
    directory_ = detail::Descriptor(detail::checked(
        ::open(parent.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC), path_, "open the directory"));
    struct stat old;
    replaces_ = ::fstatat(directory_.get(), name_.c_str(), &old, 0) == 0;
    if (replaces_) detail::require_regular(old, path_);
    mode_ = replaces_ ? old.st_mode & 0777 : 0666;
    remove_abandoned(parent);
    create();
  }
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;
  ~AtomicFile() {
    if (!renamed_) ::unlinkat(directory_.get(), temporary_.c_str(), 0);
  }

  void write(const void* from, std::size_t size) {
    std::size_t done = 0;
    while (done < size) {
      const ssize_t count =
          ::write(file_.get(), static_cast<const char*>(from) + done, size - done);
      if (count < 0 && errno == EINTR) continue;
      done += static_cast<std::size_t>(detail::checked(count, path_, "write"));
    }
  }

  void commit() {
    if (replaces_) detail::checked(::fchmod(file_.get(), mode_), path_, "fchmod");
    detail::checked(::fsync(file_.get()), path_, "fsync");
    const int directory = directory_.get();
    detail::checked(::renameat(directory, temporary_.c_str(), directory, name_.c_str()), path_,
                    "rename");
    renamed_ = true;
    detail::checked(::fsync(directory), path_, "fsync of the directory");
  }

 private:
  static constexpr const char* prefix = ".selgate-tmp-";

  /// Where a chain of symbolic links ends, whether a file is there or not.
  static std::filesystem::path followed(std::filesystem::path path) {
    const std::string name = path.string();
    std::error_code reason;
    for (int links = 0; std::filesystem::is_symlink(path, reason); ++links) {
      if (links == 40) throw io_error(ELOOP, name + ": open for writing");
      path = path.parent_path() / std::filesystem::read_symlink(path, reason);
    }
    return path;
  }

  /// Whoever can lock a temporary file while its name still stands knows that its writer is gone.
  void remove_abandoned(const std::filesystem::path& parent) const {
    std::error_code reason;
    std::filesystem::directory_iterator entry(parent, reason);
    for (; !reason && entry != std::filesystem::directory_iterator(); entry.increment(reason)) {
      const std::string name = entry->path().filename().string();
      if (!name.starts_with(prefix)) continue;
      const detail::Descriptor file(
          ::openat(directory_.get(), name.c_str(), O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
      struct stat opened, named;
      if (file.get() >= 0 && ::flock(file.get(), LOCK_EX | LOCK_NB) == 0 &&
          ::fstat(file.get(), &opened) == 0 &&
          ::fstatat(directory_.get(), name.c_str(), &named, AT_SYMLINK_NOFOLLOW) == 0 &&
          opened.st_dev == named.st_dev && opened.st_ino == named.st_ino) {
        ::unlinkat(directory_.get(), name.c_str(), 0);
      }
    }
  }

  /// Makes the temporary file under the first free name of this process and locks it. Between the
  /// two, another process may have taken it for abandoned: then the next name.
  void create() {
    for (int i = 0;; ++i) {
      temporary_ = prefix + to_text(::getpid()) + "-" + to_text(i);
      const int number = ::openat(directory_.get(), temporary_.c_str(),
                                  O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode_ | 0600);
      if (number < 0 && errno == EEXIST) continue;
      file_ =
          detail::Descriptor(detail::checked(number, path_, "create a temporary file beside it"));
      const bool taken = ::flock(file_.get(), LOCK_EX | LOCK_NB) < 0 && errno == EWOULDBLOCK;
      struct stat status;
      if (!taken && ::fstat(file_.get(), &status) == 0 && status.st_nlink > 0) return;
    }
  }

  std::string path_;       // as the caller named it, for messages
  std::string name_;       // in the directory
  std::string temporary_;  // in the directory
  detail::Descriptor directory_;
  detail::Descriptor file_;
  mode_t mode_ = 0;
  bool replaces_ = false;
  bool renamed_ = false;
};

}  // namespace selgate
