// SPDX-License-Identifier: MIT
#include "train/gnuplot.hpp"

#include "catch.hpp"
#include "environment.hpp"
#include "message_of.hpp"
#include "temporary_directory.hpp"

#include <sys/resource.h>

#include <filesystem>
#include <string>

using Catch::Matchers::ContainsSubstring;
using selgate::io_error;
using selgate::examples::csv_field;
using selgate::examples::gnuplot_string;
using selgate::examples::PictureFormat;
using selgate::examples::PlotFiles;
using selgate::examples::detail::draw;
using selgate::examples::detail::run_gnuplot;
using selgate::examples::detail::write_file;
using selgate::test::Environment;
using selgate::test::message_of;
using selgate::test::read_text;
using selgate::test::TemporaryDirectory;
namespace fs = std::filesystem;

namespace {

/// A folder with a `gnuplot` that does what the test says, as the only program to be found.
struct FakeGnuplot {
  explicit FakeGnuplot(const std::string& commands)
      : program(programs.write("gnuplot", "#!/bin/sh\n" + commands)),
        path("PATH", programs.path().string()) {
    fs::permissions(program, fs::perms::owner_all);
  }
  TemporaryDirectory programs;
  fs::path program;
  Environment path;
};

PlotFiles draw_here(const TemporaryDirectory& folder, PictureFormat format = PictureFormat::svg) {
  return draw(folder.path() / "it's 1", format, 300, 200, "x,y\n1,2\n", "plot data\n");
}

}  // namespace

TEST_CASE("gnuplot: strings and CSV fields hold any text") {
  CHECK(gnuplot_string("it's Top-k") == "\"it's Top-k\"");
  CHECK(gnuplot_string("\"σ\" \\ $x `y`") == R"("\"σ\" \\ $x \140y\140")");
  CHECK(gnuplot_string("a\nb\r\tc") == "\"a b  c\"");
  CHECK(csv_field("plain text") == "plain text");
  CHECK(csv_field("a,b") == "\"a,b\"");
  CHECK(csv_field("a \"b\"\n") == "\"a \"\"b\"\"\n\"");
}

TEST_CASE("gnuplot: is run in the script's folder, without the user's settings") {
  const FakeGnuplot fake("echo \"$PWD $*\" > call; read line || echo nothing >> call");
  const TemporaryDirectory folder;
  const PlotFiles files = draw_here(folder);
  CHECK(files.problem.empty());
  CHECK(files.csv == folder.path() / "it's 1.csv");
  CHECK(files.script == folder.path() / "it's 1.gp");
  CHECK(files.picture == folder.path() / "it's 1.svg");
  CHECK(read_text(files.csv) == "x,y\n1,2\n");
  CHECK_THAT(read_text(files.script), ContainsSubstring("set output \"it's 1.svg\"") &&
                                          ContainsSubstring("set terminal svg size 300,200 ") &&
                                          ContainsSubstring("data = \"it's 1.csv\"\nplot data\n"));
  CHECK(read_text(folder.path() / "call") ==
        fs::canonical(folder.path()).string() + " -d ./it's 1.gp\nnothing\n");

  const PlotFiles png = draw_here(folder, PictureFormat::png);
  CHECK(png.picture == folder.path() / "it's 1.png");
  CHECK_THAT(read_text(png.script), ContainsSubstring("set terminal pngcairo size 600,400 "));
}

TEST_CASE("gnuplot: where it is absent, data and script are written and the problem is told") {
  const TemporaryDirectory nothing, folder;
  const Environment path("PATH", nothing.path().string());
  const PlotFiles files = draw_here(folder);
  CHECK(files.problem == "no picture drawn: gnuplot is not installed");
  CHECK(files.picture.empty());
  CHECK(fs::exists(files.csv));
  CHECK(fs::exists(files.script));
}

TEST_CASE("gnuplot: its failure is told in one line, and no picture is left behind") {
  const TemporaryDirectory folder;
  const fs::path picture = folder.write("it's 1.svg", "the picture of another run");
  {
    const FakeGnuplot fake("echo one; echo \"  ^  two\" >&2; exit 3");
    const PlotFiles files = draw_here(folder);
    CHECK(files.problem == "no picture drawn: gnuplot failed: one ^ two ");
    CHECK(files.picture.empty());
    CHECK_FALSE(fs::exists(picture));
  }
  {
    const FakeGnuplot fake("kill -9 $$");
    CHECK(draw_here(folder).problem == "no picture drawn: gnuplot failed: ");
  }
  {
    const FakeGnuplot fake(
        "i=0; while [ $i -lt 9999 ]; do echo long enough to fill a pipe; "
        "i=$((i+1)); done; exit 1");
    CHECK(draw_here(folder).problem.size() < 400);
  }
  const FakeGnuplot fake("");
  fs::permissions(fake.program, fs::perms::owner_read);
  CHECK(draw_here(folder).problem == "no picture drawn: gnuplot does not start, error 13");
}

TEST_CASE("gnuplot: what the system refuses is an io_error") {
  const TemporaryDirectory folder;
  const fs::path missing = folder.path() / "missing" / "x.csv";
  CHECK(message_of<io_error>([&] { write_file(missing, "x"); }) ==
        missing.string() + ": write: No such file or directory");
  if (fs::exists("/dev/full")) {
    CHECK(message_of<io_error>([] { write_file("/dev/full", "x"); }) ==
          "/dev/full: write: No space left on device");
  }
  rlimit limit{};
  REQUIRE(getrlimit(RLIMIT_NOFILE, &limit) == 0);
  rlimit none = limit;
  none.rlim_cur = 0;
  REQUIRE(setrlimit(RLIMIT_NOFILE, &none) == 0);
  const std::string message = message_of<io_error>([] { run_gnuplot("x.gp"); });
  REQUIRE(setrlimit(RLIMIT_NOFILE, &limit) == 0);
  CHECK(message == "gnuplot: pipe: Too many open files");
}
