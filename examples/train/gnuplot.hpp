// SPDX-License-Identifier: MIT
#pragma once

#include <selgate/core/error.hpp>

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>
#include <system_error>

extern char** environ;

namespace selgate::examples {

enum class PictureFormat { svg, png };

/// What a plot leaves on disk. The data and the script are always written, so that any picture can
/// be redrawn, or restyled, by `gnuplot NAME.gp` in its folder.
struct PlotFiles {
  std::filesystem::path csv, script;
  std::filesystem::path picture;  // empty where none was made
  std::string problem;            // why, in one line, ready to be shown
};

/// Text as a gnuplot string. Double quotes: gnuplot does not read a single-quoted string that
/// begins with a quote. Back quotes, which would run a command, go as octal; control bytes become
/// spaces.
inline std::string gnuplot_string(std::string_view text) {
  std::string quoted = "\"";
  for (char c : text) {
    if (c == '"' || c == '\\') quoted += '\\';
    quoted += c == '`' ? "\\140" : std::string(1, static_cast<unsigned char>(c) < 0x20 ? ' ' : c);
  }
  return quoted + "\"";
}

/// Text as one CSV field (RFC 4180).
inline std::string csv_field(std::string_view text) {
  if (text.find_first_of(",\"\r\n") == std::string_view::npos) return std::string(text);
  std::string quoted = "\"";
  for (char c : text) quoted += c == '"' ? "\"\"" : std::string(1, c);
  return quoted + "\"";
}

namespace detail {

/// Throws io_error where the file cannot be written whole.
inline void write_file(const std::filesystem::path& path, const std::string& content) {
  errno = 0;
  std::ofstream file(path, std::ios::binary);
  file << content << std::flush;
  if (!file) throw io_error(errno, path.string() + ": write");
}

/// Runs `gnuplot` on the script, in the script's folder and without the user's settings. Returns
/// what went wrong, or nothing.
inline std::string run_gnuplot(const std::filesystem::path& script) {
  std::array<int, 2> pipe_ends{};
  if (::pipe2(pipe_ends.data(), O_CLOEXEC) != 0) throw io_error(errno, "gnuplot: pipe");
  const std::filesystem::path folder = script.has_parent_path() ? script.parent_path() : ".";
  const std::string name = "./" + script.filename().string();
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_adddup2(&actions, pipe_ends[1], STDOUT_FILENO);
  posix_spawn_file_actions_adddup2(&actions, pipe_ends[1], STDERR_FILENO);
  posix_spawn_file_actions_addchdir_np(&actions, folder.c_str());
  std::array<const char*, 4> arguments = {"gnuplot", "-d", name.c_str(), nullptr};
  pid_t child = 0;
  const int failure = ::posix_spawnp(&child, arguments[0], &actions, nullptr,
                                     const_cast<char* const*>(arguments.data()), environ);
  posix_spawn_file_actions_destroy(&actions);
  ::close(pipe_ends[1]);

  std::string output;
  std::array<char, 4096> piece;
  ssize_t got = 0;
  while ((got = ::read(pipe_ends[0], piece.data(), piece.size())) > 0 ||
         (got < 0 && errno == EINTR)) {
    if (got > 0) output.append(piece.data(), static_cast<std::size_t>(got));
  }
  ::close(pipe_ends[0]);
  if (failure == ENOENT) return "no picture drawn: gnuplot is not installed";
  if (failure != 0) return "no picture drawn: gnuplot does not start, error " + to_text(failure);
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return "";
  std::string message;  // on one line
  for (char c : output) {
    const bool space = static_cast<unsigned char>(c) <= 0x20;
    if (!space || (!message.empty() && message.back() != ' ')) message += space ? ' ' : c;
  }
  return "no picture drawn: gnuplot failed: " + message.substr(0, 300);
}

/// Writes STEM.csv and STEM.gp, runs gnuplot where there is one, and says what came of it. `body`
/// is the script after the lines that choose the terminal.
inline PlotFiles draw(const std::filesystem::path& stem, PictureFormat format, int width,
                      int height, const std::string& csv, const std::string& body) {
  auto with = [&](const char* ending) { return std::filesystem::path(stem.string() + ending); };
  const bool svg = format == PictureFormat::svg;
  PlotFiles files{with(".csv"), with(".gp"), with(svg ? ".svg" : ".png"), ""};
  const std::string size = to_text(width) + "," + to_text(height);
  // SVG counts text in pixels, PNG in points of 4/3 pixel; and PNG is drawn at twice the size.
  const std::string terminal =
      svg ? "svg size " + size +
                " background '#ffffff' font 'Helvetica,13' noenhanced\n"
                "title_font = ',17'\nname_font = ',14'"
          : "pngcairo size " + to_text(2 * width) + "," + to_text(2 * height) +
                " font 'Helvetica,9.75' fontscale 2 linewidth 2 noenhanced\n"
                "title_font = ',12.75'\nname_font = ',10.5'";
  write_file(files.csv, csv);
  write_file(files.script, "set encoding utf8\nset terminal " + terminal + "\nset output " +
                               gnuplot_string(files.picture.filename().string()) +
                               "\nset datafile separator comma\ndata = " +
                               gnuplot_string(files.csv.filename().string()) + "\n" + body);
  files.problem = run_gnuplot(files.script);
  if (!files.problem.empty()) {
    // gnuplot opens the picture before it fails, and one of an earlier run would be stale.
    std::error_code absent;
    std::filesystem::remove(files.picture, absent);
    files.picture.clear();
  }
  return files;
}

}  // namespace detail

}  // namespace selgate::examples
