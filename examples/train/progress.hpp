// SPDX-License-Identifier: MIT
#pragma once

#include "table.hpp"

#include <selgate/core/types.hpp>

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdlib>
#include <functional>
#include <ostream>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace selgate::examples {

struct ProgressOptions {
  bool quiet = false;
  bool redraw = false;     // one line, written over itself; else a line for each epoch
  bool color = false;      // dims the names in a redrawn line
  std::size_t width = 80;  // of the terminal, in columns
};

/// How progress suits a file descriptor: redrawn on a terminal, plain lines elsewhere (files,
/// pipes, TERM=dumb). Colour unless NO_COLOR is set and not empty (no-color.org).
inline ProgressOptions progress_options(int descriptor, bool quiet = false) {
  ProgressOptions options{.quiet = quiet};
  auto variable = [](const char* name) {
    const char* value = std::getenv(name);
    return std::string_view(value == nullptr ? "" : value);
  };
  options.redraw = ::isatty(descriptor) == 1 && variable("TERM") != "dumb";
  options.color = options.redraw && variable("NO_COLOR").empty();
  winsize size{};
  if (options.redraw && ::ioctl(descriptor, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) {
    options.width = size.ws_col;
  }
  return options;
}

/// Seconds as "0:41", "12:05" or "1:02:03".
inline std::string format_duration(double seconds) {
  const auto whole = static_cast<long long>(std::llround((std::max)(seconds, 0.0)));
  auto two_digits = [](long long value) { return (value < 10 ? "0" : "") + std::to_string(value); };
  const long long minutes = whole / 60;
  if (minutes < 60) return std::to_string(minutes) + ":" + two_digits(whole % 60);
  return std::to_string(minutes / 60) + ":" + two_digits(minutes % 60) + ":" +
         two_digits(whole % 60);
}
/// 12, 950, 1.9k, 12k, 3.4M: two or three digits that one can take in at a glance.
inline std::string format_count(double count) {
  std::string_view units = " kM";
  while (count >= 999.5 && units.size() > 1) {
    count /= 1000;
    units.remove_prefix(1);
  }
  const bool whole = units[0] == ' ';
  return fixed(count, whole || count >= 9.95 ? 0 : 1) + (whole ? "" : std::string(1, units[0]));
}

/// Shows how a run goes: `epoch 3/25  loss 0.412  task 1 0.233  1.9k ex/s  eta 0:41`.
///
///   Progress progress(std::cout, progress_options(STDOUT_FILENO), num_epochs);
///   progress.update(epochs_done, {{"loss", "0.412"}});   // as often as one likes: redraws only
///   progress.epoch(e, {{"loss", "0.398"}});              // after each epoch: a line, or a redraw
///
/// The time left is judged from the epochs done since construction. At the end, `finish` or the
/// destructor closes an open redrawn line.
class Progress {
 public:
  using Field = std::pair<std::string, std::string>;  // name, value
  using Clock = std::function<double()>;              // seconds

  Progress(std::ostream& out, const ProgressOptions& options, Index num_epochs,
           Index first_epoch = 0, Clock clock = steady_seconds)
      : out_(out),
        options_(options),
        num_epochs_(num_epochs),
        first_epoch_(first_epoch),
        clock_(std::move(clock)),
        start_(clock_()) {}
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;
  ~Progress() { finish(); }

  /// Within an epoch, with `epochs_done` such as 2.4. Drawn at most ten times a second.
  void update(double epochs_done, const std::vector<Field>& fields) {
    if (options_.redraw && !options_.quiet && clock_() >= next_redraw_) show(epochs_done, fields);
  }
  /// After epoch number 1..num_epochs.
  void epoch(Index epoch, const std::vector<Field>& fields) {
    if (!options_.quiet) show(static_cast<double>(epoch), fields);
  }
  /// Ends a redrawn line, so that whatever is printed next starts on its own.
  void finish() {
    if (drawn_ != 0) out_ << '\n' << std::flush;
    drawn_ = 0;
  }

 private:
  static double steady_seconds() {
    return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch())
        .count();
  }

  void show(double epochs_done, const std::vector<Field>& fields) {
    const double now = clock_(), done_here = epochs_done - static_cast<double>(first_epoch_);
    std::vector<Field> all = {
        {"epoch", fixed(std::ceil(epochs_done), 0) + "/" + to_text(num_epochs_)}};
    all.insert(all.end(), fields.begin(), fields.end());
    const double left = static_cast<double>(num_epochs_) - epochs_done;
    if (left > 0 && done_here > 0) {
      all.emplace_back("eta", format_duration((now - start_) / done_here * left));
    }
    if (options_.redraw) {
      draw(all);
      next_redraw_ = now + 0.1;
    } else {
      for (std::size_t i = 0; i < all.size(); ++i) {
        out_ << (i == 0 ? "" : "  ") << all[i].first << ' ' << all[i].second;
      }
      out_ << '\n' << std::flush;
    }
  }

  /// Whole fields only, as many as fit: a line that wraps could not be drawn over.
  void draw(const std::vector<Field>& fields) {
    std::string line;
    std::size_t width = 0;
    for (const auto& [name, value] : fields) {
      const std::size_t more = (width == 0 ? 0 : 2) + text_width(name) + 1 + text_width(value);
      if (width + more >= options_.width) break;
      line += (width == 0 ? "" : "  ") + (options_.color ? "\x1b[2m" + name + "\x1b[0m" : name) +
              ' ' + value;
      width += more;
    }
    const std::size_t rest = drawn_ > width ? drawn_ - width : 0;  // of a longer line before
    out_ << '\r' << line << std::string(rest, ' ') << std::flush;
    drawn_ = width;
  }

  std::ostream& out_;
  ProgressOptions options_;
  Index num_epochs_, first_epoch_;
  Clock clock_;
  double start_, next_redraw_ = 0;
  std::size_t drawn_ = 0;  // columns of the open line
};

}  // namespace selgate::examples
