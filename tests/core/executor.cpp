// SPDX-License-Identifier: MIT
#include <selgate/core/executor.hpp>

#include "catch.hpp"

#include <barrier>
#include <set>
#include <stdexcept>

using namespace selgate;
using Catch::Matchers::ContainsSubstring;

TEST_CASE("executor: every block once, with any number of threads") {
  const int num_threads = GENERATE(1, 2, 4);
  Executor executor(num_threads);
  CHECK(executor.num_threads() == num_threads);
  for (Index num_blocks : {0, 1, 2, 3, 64, 1000}) {
    std::vector<std::atomic<int>> calls(static_cast<std::size_t>(num_blocks));
    executor.run(num_blocks, [&](Index i) { ++calls.at(static_cast<std::size_t>(i)); });
    for (const auto& count : calls) CHECK(count == 1);
  }
}

TEST_CASE("executor: what the blocks wrote is there when run returns") {
  Executor executor(4);
  std::vector<Index> squares(500);
  for (int round = 0; round < 200; ++round) {
    executor.run(500, [&](Index i) { squares[static_cast<std::size_t>(i)] = i * i + round; });
    Index sum = 0;
    for (Index square : squares) sum += square;
    REQUIRE(sum == 499 * 500 * 999 / 6 + 500 * round);
  }
}

TEST_CASE("executor: the threads work at the same time") {
  Executor executor(3);
  std::barrier all_here(3);  // passes only when three blocks run at once
  std::mutex mutex;
  std::set<std::thread::id> threads;
  executor.run(3, [&](Index) {
    all_here.arrive_and_wait();
    const std::lock_guard lock(mutex);
    threads.insert(std::this_thread::get_id());
  });
  CHECK(threads.size() == 3);
  CHECK(threads.count(std::this_thread::get_id()) == 1);
}

TEST_CASE("executor: an exception passes to the caller, and the threads survive it") {
  const int num_threads = GENERATE(1, 2, 4);
  Executor executor(num_threads);
  for (int round = 0; round < 20; ++round) {
    std::atomic<int> running = 0;
    const auto block = [&](Index i) {
      ++running;
      const bool fails = i == 30 || i == 31;
      --running;
      if (fails) throw std::runtime_error("failed");
    };
    CHECK_THROWS_WITH(executor.run(100, block), "failed");
    CHECK(running == 0);
    std::atomic<int> calls = 0;
    executor.run(100, [&](Index) { ++calls; });
    CHECK(calls == 100);
  }
}

TEST_CASE("executor: one thread stops at the block that fails") {
  Executor executor(1);
  int calls = 0;
  CHECK_THROWS_AS(executor.run(100,
                               [&](Index i) {
                                 ++calls;
                                 if (i == 30) throw std::runtime_error("block 30");
                               }),
                  std::runtime_error);
  CHECK(calls == 31);
}

TEST_CASE("run_blocks: in the caller, in order, where there is no executor") {
  std::vector<Index> order;
  run_blocks(nullptr, 4, [&](Index i) { order.push_back(i); });
  CHECK(order == std::vector<Index>{0, 1, 2, 3});

  Executor executor(2);
  std::atomic<Index> sum = 0;
  run_blocks(&executor, 4, [&](Index i) { sum += i; });
  CHECK(sum == 6);
}

TEST_CASE("executor: a run within a run is refused, from a block and from another thread") {
  Executor executor(2);
  std::atomic<int> refused = 0;
  auto nested = [&] { executor.run(2, [](Index) {}); };
  auto expect_refusal = [&] {
    try {
      nested();
    } catch (const state_error&) {
      ++refused;
    }
  };
  executor.run(2, [&](Index) { expect_refusal(); });
  CHECK(refused == 2);
  executor.run(2, [&](Index) { std::thread(expect_refusal).join(); });
  CHECK(refused == 4);
  CHECK_THROWS_WITH(executor.run(2, [&](Index) { nested(); }),
                    ContainsSubstring("Executor::run: threads at work: expected none, got "));
  CHECK_NOTHROW(nested());
}
