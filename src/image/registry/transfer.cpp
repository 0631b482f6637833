#include "image/registry/transfer.hpp"

#include <thread>
#include <vector>

namespace berth::image::registry {

void SharedObserver::moved(const Descriptor& blob, std::uint64_t done) {
  const std::lock_guard lock(mutex_);
  observer_.moved(blob, done);
}

void SharedObserver::finished(const Descriptor& blob, BlobOutcome outcome) {
  const std::lock_guard lock(mutex_);
  observer_.finished(blob, outcome);
}

void SharedObserver::note(const std::string& message) {
  const std::lock_guard lock(mutex_);
  observer_.note(message);
}

std::optional<std::size_t> WorkQueue::next() {
  const std::lock_guard lock(mutex_);
  if (error_ || given_ == count_) return std::nullopt;
  return given_++;
}

void WorkQueue::failed(Error error) {
  const std::lock_guard lock(mutex_);
  if (!error_) error_ = std::move(error);
}

Result<void> WorkQueue::result() {
  const std::lock_guard lock(mutex_);
  if (error_) return fail(*error_);
  return {};
}

Result<void> run_workers(std::size_t threads, WorkQueue& queue,
                         const std::function<Result<void>(WorkQueue&)>& worker,
                         const std::function<void()>& on_failure) {
  const auto work = [&] {
    auto done = worker(queue);
    if (done) return;
    queue.failed(std::move(done).error());
    on_failure();
  };
  {
    std::vector<std::jthread> others;
    for (std::size_t i = 1; i < threads; ++i) others.emplace_back(work);
    work();
  }
  return queue.result();
}

}  // namespace berth::image::registry
