// What pull and push tell about their progress, and how they share work among threads.
#pragma once

#include <cstddef>
#include <functional>
#include <mutex>
#include <optional>
#include <string>

#include "base/result.hpp"
#include "image/model/manifest.hpp"

namespace berth::image::registry {

enum class BlobOutcome { Transferred, Present, Mounted };

// Told of the blobs on their way. Called from several threads, but never by two at once.
class TransferObserver {
 public:
  virtual ~TransferObserver() = default;
  // `done` of descriptor.size bytes are there; the first call says that the blob's turn has come.
  virtual void moved(const Descriptor& blob, std::uint64_t done) = 0;
  virtual void finished(const Descriptor& blob, BlobOutcome outcome) = 0;
  virtual void note(const std::string& message) = 0;  // for people: retries, oddities
};

// Makes an observer safe to call from several threads.
class SharedObserver {
 public:
  explicit SharedObserver(TransferObserver& observer) : observer_(observer) {}
  void moved(const Descriptor& blob, std::uint64_t done);
  void finished(const Descriptor& blob, BlobOutcome outcome);
  void note(const std::string& message);

 private:
  std::mutex mutex_;
  TransferObserver& observer_;
};

// Hands out 0, 1, ... count - 1; stops at the first failure, which is kept.
class WorkQueue {
 public:
  explicit WorkQueue(std::size_t count) : count_(count) {}
  std::optional<std::size_t> next();
  void failed(Error error);
  Result<void> result();

 private:
  std::mutex mutex_;
  const std::size_t count_;
  std::size_t given_ = 0;
  std::optional<Error> error_;
};

// Runs `worker` on `threads` threads, the calling one among them. A worker takes from the queue until it is
// empty; its error stops the queue, and `on_failure` is then called at once.
Result<void> run_workers(std::size_t threads, WorkQueue& queue,
                         const std::function<Result<void>(WorkQueue&)>& worker,
                         const std::function<void()>& on_failure);

}  // namespace berth::image::registry
