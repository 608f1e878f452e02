// SPDX-License-Identifier: MIT
#include <selgate/io/file.hpp>

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstring>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "catch.hpp"
#include "message_of.hpp"
#include "temporary_directory.hpp"

using selgate::AtomicFile;
using selgate::InputFile;
using selgate::io_error;
using selgate::test::message_of;
using selgate::test::read_text;
using selgate::test::TemporaryDirectory;

namespace {

const std::string old_text = "old content", new_text = "the new content";

void write_all(const std::filesystem::path& path, const std::string& text) {
  AtomicFile file(path);
  file.write(text.data(), text.size());
  file.commit();
}

std::string reason(int number) { return std::strerror(number); }

/// Linux shows a process its open files: puts `other` in the place of the one whose path ends so.
void replace_descriptor(const std::string& path_end, int other) {
  REQUIRE(other >= 0);
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
    std::error_code gone;
    const std::string path = std::filesystem::read_symlink(entry.path(), gone).string();
    const int number = std::stoi(entry.path().filename().string());
    if (number != other && path.ends_with(path_end)) {
      REQUIRE(::dup2(other, number) == number);
      ::close(other);
      return;
    }
  }
  FAIL("no open file ends in " + path_end);
}
/// What the first temporary file of this process is called.
std::string temporary() { return ".selgate-tmp-" + std::to_string(::getpid()) + "-0"; }

/// A file that holds old_text and an AtomicFile on it with some bytes written; checks afterwards
/// that a failed commit left nothing behind.
struct Rewriting {
  TemporaryDirectory directory;
  std::filesystem::path path = directory / "w";
  std::optional<AtomicFile> file;

  Rewriting() {
    directory.write("w", old_text);
    file.emplace(path);
    file->write(new_text.data(), new_text.size());
  }
  void check_untouched() {
    file.reset();
    CHECK(read_text(path) == old_text);
    CHECK(directory.names() == std::vector<std::string>{"w"});
  }
};

/// Runs f in a process of its own and returns how that ended, as waitpid says.
template <class F>
int run_child(const F& f) {
  const pid_t child = ::fork();
  REQUIRE(child >= 0);
  if (child == 0) ::_exit(f());
  int status = 0;
  REQUIRE(::waitpid(child, &status, 0) == child);
  return status;
}

}  // namespace

TEST_CASE("file: reading") {
  const TemporaryDirectory directory;
  directory.write("r", "0123456789");
  const InputFile file(directory / "r");
  CHECK(file.size() == 10);
  CHECK(file.name() == (directory / "r").string());
  std::string text(4, '.');
  CHECK(file.read(3, text.data(), 4) == 4);
  CHECK(text == "3456");
  CHECK(file.read(8, text.data(), 4) == 2);
  CHECK(text == "8956");
  CHECK(file.read(10, text.data(), 4) == 0);
  CHECK(file.read(0, nullptr, 0) == 0);
}

TEST_CASE("file: what cannot be read") {
  const TemporaryDirectory directory;
  const auto read_refusal = [&](const std::string& name) {
    const std::string text = message_of<io_error>([&] { InputFile(directory / name); });
    return text.substr(directory.path().string().size() + 1);
  };
  CHECK(read_refusal("no") == "no: open for reading: " + reason(ENOENT));
  CHECK(read_refusal(".") == ".: expected a regular file: " + reason(EISDIR));
  std::filesystem::create_symlink("loop", directory / "loop");
  CHECK(read_refusal("loop") == "loop: open for reading: " + reason(ELOOP));
  REQUIRE(::mkfifo((directory / "fifo").c_str(), 0600) ==
          0);  // reading one would wait for a writer
  CHECK(read_refusal("fifo") == "fifo: expected a regular file: " + reason(EINVAL));
  CHECK_THROWS_AS(InputFile("/dev/zero"), io_error);

  directory.write("r", "0123456789");
  const InputFile file(directory / "r");
  int pipe_ends[2];
  REQUIRE(::pipe(pipe_ends) == 0);
  replace_descriptor("/r", pipe_ends[0]);
  ::close(pipe_ends[1]);
  char byte;
  CHECK(message_of<io_error>([&] { file.read(0, &byte, 1); }) ==
        file.name() + ": read: " + reason(ESPIPE));
}

TEST_CASE("file: errors carry the system's number") {
  try {
    InputFile("/no/such/file");
    FAIL("nothing was thrown");
  } catch (const io_error& error) {
    CHECK(error.std::system_error::code().value() == ENOENT);
    CHECK(error.selgate::error::code() == selgate::error::Code::io);
  }
}

TEST_CASE("file: commit replaces, no commit does not") {
  Rewriting writing;
  CHECK(read_text(writing.path) == old_text);
  SECTION("commit") {
    writing.file->commit();
    CHECK(read_text(writing.path) == new_text);
    writing.file.reset();
    CHECK(read_text(writing.path) == new_text);
    CHECK(writing.directory.names() == std::vector<std::string>{"w"});
  }
  SECTION("no commit") { writing.check_untouched(); }
}

TEST_CASE("file: permissions") {
  const TemporaryDirectory directory;
  const auto mode = [](const std::filesystem::path& path) {
    return static_cast<int>(std::filesystem::status(path).permissions());
  };
  const mode_t mask = ::umask(027);
  write_all(directory / "new", new_text);
  CHECK(mode(directory / "new") == 0640);
  for (const int bits : {0600, 0444, 0666}) {
    const std::filesystem::path path = directory.write("old" + std::to_string(bits), old_text);
    REQUIRE(::chmod(path.c_str(), static_cast<mode_t>(bits)) == 0);
    write_all(path, new_text);
    CHECK(mode(path) == bits);
    CHECK(read_text(path) == new_text);
  }
  ::umask(mask);
}

TEST_CASE("file: what cannot be written") {
  const TemporaryDirectory directory;
  const auto write_refusal = [&](const std::string& name) {
    const std::string text = message_of<io_error>([&] { write_all(directory / name, new_text); });
    return text.substr(directory.path().string().size() + 1);
  };
  CHECK(write_refusal("no/w") == "no/w: open the directory: " + reason(ENOENT));
  directory.write("f", old_text);
  CHECK(write_refusal("f/w") == "f/w: open the directory: " + reason(ENOTDIR));
  CHECK(write_refusal(".") == ".: expected a regular file: " + reason(EISDIR));
  const std::string long_name(300, 'w');
  CHECK(write_refusal(long_name) == long_name + ": rename: " + reason(ENAMETOOLONG));
  REQUIRE(::mkfifo((directory / "fifo").c_str(), 0600) == 0);
  CHECK(write_refusal("fifo") == "fifo: expected a regular file: " + reason(EINVAL));
  CHECK_THROWS_AS(write_all("/dev/full", new_text), io_error);
  CHECK(std::filesystem::is_character_file("/dev/full"));
  CHECK_THROWS_AS(write_all("", new_text), io_error);
  CHECK(directory.names() == std::vector<std::string>{"f", "fifo"});
}

TEST_CASE("file: a directory without permission to write") {
  const TemporaryDirectory directory;
  directory.write("w", old_text);
  REQUIRE(::chmod(directory.path().c_str(), 0555) == 0);
  const int status = run_child([&] {
    if (::geteuid() == 0 && ::setuid(65534) != 0) return 2;  // the superuser may write everywhere
    try {
      write_all(directory / "w", new_text);
    } catch (const io_error& error) {
      const std::string expected =
          (directory / "w").string() + ": create a temporary file beside it: " + reason(EACCES);
      return error.what() == expected ? 0 : 3;
    }
    return 1;
  });
  CHECK(status == 0);
  CHECK(read_text(directory / "w") == old_text);
  REQUIRE(::chmod(directory.path().c_str(), 0755) == 0);
}

TEST_CASE("file: a failed step leaves the old file and nothing else") {
  Rewriting writing;
  const std::string name = writing.path.string();
  const auto commit_refusal = [&] { return message_of<io_error>([&] { writing.file->commit(); }); };
  SECTION("disk full") {
    replace_descriptor(temporary(), ::open("/dev/full", O_WRONLY));
    CHECK(message_of<io_error>([&] { writing.file->write("x", 1); }) ==
          name + ": write: " + reason(ENOSPC));
  }
  SECTION("write in part, then the limit") {
    rlimit old_limit;
    REQUIRE(::getrlimit(RLIMIT_FSIZE, &old_limit) == 0);
    rlimit limit = old_limit;
    limit.rlim_cur = new_text.size() + 100;
    const auto old_action = std::signal(SIGXFSZ, SIG_IGN);
    REQUIRE(::setrlimit(RLIMIT_FSIZE, &limit) == 0);
    const std::string large(1000, 'x');
    std::string text;
    try {
      writing.file->write(large.data(), large.size());
    } catch (const io_error& error) {
      text = error.what();
    }
    ::setrlimit(RLIMIT_FSIZE, &old_limit);
    std::signal(SIGXFSZ, old_action);
    CHECK(text == name + ": write: " + reason(EFBIG));
  }
  SECTION("fchmod") {  // O_PATH allows nothing but to name a file
    replace_descriptor(temporary(), ::open(name.c_str(), O_PATH));
    CHECK(commit_refusal() == name + ": fchmod: " + reason(EBADF));
  }
  SECTION("fsync") {
    int pipe_ends[2];
    REQUIRE(::pipe(pipe_ends) == 0);
    replace_descriptor(temporary(), pipe_ends[1]);
    ::close(pipe_ends[0]);
    CHECK(commit_refusal() == name + ": fsync: " + reason(EINVAL));
  }
  SECTION("rename") {
    std::filesystem::remove(writing.path);
    std::filesystem::create_directory(writing.path);
    CHECK(commit_refusal() == name + ": rename: " + reason(EISDIR));
    std::filesystem::remove(writing.path);
    writing.directory.write("w", old_text);
  }
  writing.check_untouched();
}

TEST_CASE("file: the directory's fsync fails after the rename") {
  Rewriting writing;
  const std::string directory = writing.directory.path().string();
  replace_descriptor(directory, ::open(directory.c_str(), O_PATH | O_DIRECTORY));
  CHECK(message_of<io_error>([&] { writing.file->commit(); }) ==
        writing.path.string() + ": fsync of the directory: " + reason(EBADF));
  writing.file.reset();
  CHECK(read_text(writing.path) == new_text);
  CHECK(writing.directory.names() == std::vector<std::string>{"w"});
}

TEST_CASE("file: symbolic links stay") {
  const TemporaryDirectory directory;
  std::filesystem::create_directory(directory / "real");
  directory.write("real/w", old_text);
  std::filesystem::create_symlink("real/w", directory / "relative");
  std::filesystem::create_symlink(directory / "relative", directory / "chain");
  std::filesystem::create_symlink("real/later", directory / "dangling");
  write_all(directory / "chain", new_text);
  CHECK(read_text(directory / "real/w") == new_text);
  write_all(directory / "dangling", new_text);
  CHECK(read_text(directory / "real/later") == new_text);
  for (const std::string name : {"relative", "chain", "dangling"}) {
    CHECK(std::filesystem::is_symlink(directory / name));
  }
  std::filesystem::create_symlink("loop", directory / "loop");
  CHECK(message_of<io_error>([&] { write_all(directory / "loop", new_text); }) ==
        (directory / "loop").string() + ": open for writing: " + reason(ELOOP));
}

TEST_CASE("file: a path without a directory is in the working directory") {
  const TemporaryDirectory directory;
  const std::filesystem::path before = std::filesystem::current_path();
  std::filesystem::current_path(directory.path());
  write_all("w", new_text);
  std::filesystem::current_path(before);
  CHECK(read_text(directory / "w") == new_text);
}

TEST_CASE("file: what a killed writer left is removed, a living writer's file is not") {
  const TemporaryDirectory directory;
  directory.write("w", old_text);
  const int status = run_child([&] {
    AtomicFile file(directory / "w");
    file.write(new_text.data(), 3);
    ::raise(SIGKILL);
    return 0;
  });
  REQUIRE(WIFSIGNALED(status));
  CHECK(read_text(directory / "w") == old_text);
  REQUIRE(directory.names().size() == 2);

  AtomicFile living(directory / "other");
  living.write(new_text.data(), new_text.size());
  CHECK(directory.names().size() == 2);  // the dead one's has gone, this one's has come
  write_all(directory / "w", new_text);
  CHECK(directory.names().size() == 2);
  living.commit();
  CHECK(read_text(directory / "other") == new_text);
  CHECK(directory.names() == std::vector<std::string>{"other", "w"});
}

TEST_CASE("file: only files of our own making are removed") {
  const TemporaryDirectory directory;
  directory.write(".selgate-tm", "x");
  directory.write("x.selgate-tmp-1-0", "x");
  directory.write("kept", "x");
  std::filesystem::create_symlink("kept", directory / ".selgate-tmp-2-0");
  std::filesystem::create_directory(directory / ".selgate-tmp-3-0");
  write_all(directory / "w", new_text);
  CHECK(directory.names().size() == 6);
}

TEST_CASE("file: writers of one path do not disturb each other") {
  const TemporaryDirectory directory;
  const std::filesystem::path path = directory / "w";
  write_all(path, std::string(1000, 'a'));
  std::vector<std::string> errors(3);
  std::vector<std::thread> writers;
  for (std::size_t i = 0; i < errors.size(); ++i) {
    writers.emplace_back([&, i] {
      const std::string text(1000, static_cast<char>('a' + i));
      try {
        for (int round = 0; round < 40; ++round) write_all(path, text);
      } catch (const std::exception& error) {
        errors[i] = error.what();
      }
    });
  }
  int torn = 0;
  for (int round = 0; round < 200; ++round) {
    const std::string text = read_text(path);
    torn += text.size() != 1000 || text != std::string(1000, text[0]);
  }
  for (std::thread& writer : writers) writer.join();
  CHECK(torn == 0);
  for (const std::string& error : errors) CHECK(error.empty());
  CHECK(directory.names() == std::vector<std::string>{"w"});
}
