// SPDX-License-Identifier: MIT
#include "train/instructions.hpp"

#include "catch.hpp"
#include "message_of.hpp"
#include "temporary_directory.hpp"

using selgate::data_error;
using selgate::examples::count_instructions;
using selgate::examples::read_instructions;
using selgate::test::message_of;
using selgate::test::TemporaryDirectory;

TEST_CASE("instructions: what is counted runs once, and so does what is not") {
  int runs = 0;
  count_instructions(true, "gate 3", [&] { ++runs; });
  count_instructions(false, "gate 4", [&] { ++runs; });
  CHECK(runs == 2);
}

TEST_CASE("instructions: counts come by gate and step") {
  const TemporaryDirectory folder;
  const auto path = folder.write("counts.txt", "top-k 5 1000\ndselect-k 5 1.5e9\ntop-k 11 900\n");
  const auto counts = read_instructions(path);
  REQUIRE(counts.size() == 3);
  CHECK(counts.at("top-k 5") == 1000);
  CHECK(counts.at("top-k 11") == 900);
  CHECK(counts.at("dselect-k 5") == 1.5e9);

  const auto bad = folder.write("bad.txt", "top-k 5 1000\ntop-k five 1000\n");
  CHECK(message_of<data_error>([&] { read_instructions(bad); }) ==
        bad.string() +
            ": line 2: counts: expected a gate, a step and a number of instructions, found "
            "top-k five 1000");
}
