// SPDX-License-Identifier: MIT
#pragma once

#include <selgate/core/error.hpp>
#include <selgate/core/types.hpp>

#include <atomic>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <thread>
#include <vector>

namespace selgate {

/// A few threads that take blocks of work. Callers cut work by its shape alone (one expert, 64
/// columns), and which thread takes a block changes nothing in its result, so any number of threads
/// gives the same bits. One thread (the default everywhere) means: run in the caller.
class Executor {
 public:
  /// Throws config_error for num_threads < 1, std::system_error where the system has no thread
  /// left.
  explicit Executor(int num_threads) {
    require(num_threads >= 1, "Executor: num_threads", ">= 1", num_threads);
    try {
      for (int i = 1; i < num_threads; ++i) workers_.emplace_back([this] { work(); });
    } catch (...) {
      stop();
      throw;
    }
  }
  Executor(const Executor&) = delete;
  Executor& operator=(const Executor&) = delete;
  ~Executor() { stop(); }

  [[nodiscard]] int num_threads() const { return static_cast<int>(workers_.size()) + 1; }

  /// Calls block(i) once for each i in 0..num_blocks-1 and returns when all are done. The first
  /// exception is rethrown here after every thread has stopped. Throws state_error if the threads
  /// are at work for another run, be it this one's block or another thread that called.
  template <class Block>
  void run(Index num_blocks, const Block& block) {
    if (workers_.empty() || num_blocks < 2) {
      for (Index i = 0; i < num_blocks; ++i) block(i);
      return;
    }
    {
      const std::lock_guard lock(mutex_);
      require<state_error>(busy_ == 0, "Executor::run: threads at work", "none", busy_);
      call_ = [](const void* f, Index i) { (*static_cast<const Block*>(f))(i); };
      block_ = &block;
      num_blocks_ = num_blocks;
      next_ = 0;
      busy_ = workers_.size() + 1;  // and the caller
      failure_ = nullptr;
      ++generation_;
    }
    wake_.notify_all();
    take_blocks();
    std::unique_lock lock(mutex_);
    done_.wait(lock, [this] { return busy_ == 1; });
    busy_ = 0;
    if (failure_) std::rethrow_exception(failure_);
  }

 private:
  void stop() {
    {
      const std::lock_guard lock(mutex_);
      stop_ = true;
    }
    wake_.notify_all();
    for (std::thread& worker : workers_) worker.join();
  }
  void take_blocks() {
    try {
      for (Index i = next_++; i < num_blocks_; i = next_++) call_(block_, i);
    } catch (...) {
      next_ = num_blocks_;
      const std::lock_guard lock(mutex_);
      if (!failure_) failure_ = std::current_exception();
    }
  }
  void work() {
    std::uint64_t seen = 0;
    std::unique_lock lock(mutex_);
    while (true) {
      wake_.wait(lock, [&] { return stop_ || generation_ != seen; });
      if (stop_) return;
      seen = generation_;
      lock.unlock();
      take_blocks();
      lock.lock();
      if (--busy_ == 1) done_.notify_one();
    }
  }

  std::vector<std::thread> workers_;
  std::mutex mutex_;
  std::condition_variable wake_, done_;
  void (*call_)(const void*, Index) = nullptr;
  const void* block_ = nullptr;
  Index num_blocks_ = 0;
  std::atomic<Index> next_{0};
  std::size_t busy_ = 0;
  std::uint64_t generation_ = 0;
  std::exception_ptr failure_;
  bool stop_ = false;
};

/// Runs the blocks on the executor, or in the caller where there is none.
template <class Block>
void run_blocks(Executor* executor, Index num_blocks, const Block& block) {
  if (executor != nullptr) {
    executor->run(num_blocks, block);
  } else {
    for (Index i = 0; i < num_blocks; ++i) block(i);
  }
}

}  // namespace selgate
