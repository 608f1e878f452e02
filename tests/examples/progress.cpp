// SPDX-License-Identifier: MIT
#include "train/progress.hpp"

#include "catch.hpp"
#include "environment.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <sstream>
#include <string>

using selgate::examples::format_count;
using selgate::examples::format_duration;
using selgate::examples::Progress;
using selgate::examples::progress_options;
using selgate::examples::ProgressOptions;
using selgate::test::Environment;

namespace {

/// A progress whose clock the test moves.
struct Run {
  explicit Run(const ProgressOptions& options, selgate::Index first_epoch = 0)
      : progress(out, options, 4, first_epoch, [this] { return now; }) {}
  /// What was written since the last call.
  std::string written() {
    std::string text = out.str();
    out.str("");
    return text;
  }
  double now = 100;
  std::ostringstream out;
  Progress progress;
};

}  // namespace

TEST_CASE("progress: plain, a line for each epoch and nothing else") {
  Run run({});
  run.now += 10;
  run.progress.update(0.5, {{"loss", "0.9"}});
  CHECK(run.written().empty());
  run.progress.epoch(1, {{"loss", "0.412"}, {"task 1", "0.233"}});
  CHECK(run.written() == "epoch 1/4  loss 0.412  task 1 0.233  eta 0:30\n");
  run.now += 20;
  run.progress.epoch(2, {});
  CHECK(run.written() == "epoch 2/4  eta 0:30\n");
  run.progress.epoch(4, {{"loss", "0.2"}});
  run.progress.finish();
  CHECK(run.written() == "epoch 4/4  loss 0.2\n");
}

TEST_CASE("progress: the time left after a resume counts the epochs done here") {
  Run run({}, 2);
  run.now += 7;
  run.progress.epoch(3, {});
  CHECK(run.written() == "epoch 3/4  eta 0:07\n");
}

TEST_CASE("progress: quiet") {
  Run run({.quiet = true, .redraw = GENERATE(false, true)});
  run.now += 1;
  run.progress.update(0.5, {});
  run.progress.epoch(1, {});
  run.progress.finish();
  CHECK(run.written().empty());
}

TEST_CASE("progress: redrawn, at most ten times a second, a longer line wiped out") {
  Run run({.redraw = true});
  run.progress.update(0, {{"loss", "10.25"}});
  CHECK(run.written() == "\repoch 0/4  loss 10.25");
  run.now += 0.05;
  run.progress.update(0.1, {{"loss", "9.5"}});
  CHECK(run.written().empty());
  run.now += 0.95;
  run.progress.update(0.5, {{"loss", "9.5"}});
  CHECK(run.written() == "\repoch 1/4  loss 9.5  eta 0:07");
  run.progress.epoch(4, {{"loss", "σ"}});
  CHECK(run.written() == "\repoch 4/4  loss σ" + std::string(2 + 8 + 2, ' '));  // 9.5, eta
  run.progress.finish();
  CHECK(run.written() == "\n");
  run.progress.finish();
  CHECK(run.written().empty());
}

TEST_CASE("progress: a redrawn line keeps to the terminal's width by whole fields") {
  Run run({.redraw = true, .width = 20});
  run.progress.epoch(4, {{"a", "1234567"}, {"b", "1"}});  // 9 + 2 + 9 = 20, one too many
  CHECK(run.written() == "\repoch 4/4");
  run.progress.epoch(4, {{"a", "123456"}, {"b", "1"}});
  CHECK(run.written() == "\repoch 4/4  a 123456");
}

TEST_CASE("progress: colour dims the names and takes no room") {
  Run run({.redraw = true, .color = true, .width = 20});
  run.progress.epoch(4, {{"a", "123456"}});
  CHECK(run.written() == "\r\x1b[2mepoch\x1b[0m 4/4  \x1b[2ma\x1b[0m 123456");
}

TEST_CASE("progress: plain lines for what is no terminal") {
  int ends[2];
  REQUIRE(::pipe(ends) == 0);
  const ProgressOptions options = progress_options(ends[1]);
  CHECK_FALSE(options.redraw);
  CHECK_FALSE(options.color);
  CHECK(progress_options(ends[1], true).quiet);
  ::close(ends[0]);
  ::close(ends[1]);
}

TEST_CASE("progress: a terminal is redrawn, without colour under NO_COLOR, plain if dumb") {
  const int terminal = ::posix_openpt(O_RDWR | O_NOCTTY);
  if (terminal < 0 || ::isatty(terminal) != 1) {
    WARN("skipped: no pseudo-terminal to be had");
    return;
  }
  const Environment term("TERM", "xterm");
  const Environment no_color("NO_COLOR", "");
  winsize size{};
  size.ws_col = 132;
  REQUIRE(::ioctl(terminal, TIOCSWINSZ, &size) == 0);
  const ProgressOptions options = progress_options(terminal);
  CHECK(options.redraw);
  CHECK(options.color);
  CHECK(options.width == 132);
  {
    const Environment set("NO_COLOR", "1");
    CHECK(progress_options(terminal).redraw);
    CHECK_FALSE(progress_options(terminal).color);
  }
  {
    const Environment dumb("TERM", "dumb");
    CHECK_FALSE(progress_options(terminal).redraw);
  }
  ::close(terminal);
}

TEST_CASE("progress: durations and counts at a glance") {
  CHECK(format_duration(0.4) == "0:00");
  CHECK(format_duration(59.6) == "1:00");
  CHECK(format_duration(725) == "12:05");
  CHECK(format_duration(3723) == "1:02:03");
  CHECK(format_duration(-1) == "0:00");
  CHECK(format_count(0) == "0");
  CHECK(format_count(12.3) == "12");
  CHECK(format_count(999) == "999");
  CHECK(format_count(999.7) == "1.0k");
  CHECK(format_count(1949) == "1.9k");
  CHECK(format_count(9960) == "10k");
  CHECK(format_count(12'345) == "12k");
  CHECK(format_count(3.44e6) == "3.4M");
  CHECK(format_count(5e9) == "5000M");
}
