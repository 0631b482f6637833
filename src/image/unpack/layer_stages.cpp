#include "image/unpack/layer_stages.hpp"

namespace berth::image {

template <typename Predicate>
Result<void> LayerStages::wait(std::unique_lock<std::mutex>& lock, Predicate done) {
  changed_.wait(lock, [&] { return done() || stop_.stop_requested(); });
  if (done()) return {};
  return berth::fail(Code::Cancelled, "unpacking stopped");
}

std::optional<std::size_t> LayerStages::next() {
  const std::lock_guard lock(mutex_);
  while (given_ < layers_.size() && !layers_[given_].directory.empty()) ++given_;
  if (stop_.stop_requested() || given_ == layers_.size()) return std::nullopt;
  return given_++;
}

void LayerStages::set_fetched(std::size_t layer) {
  const std::lock_guard lock(mutex_);
  layers_[layer].fetched = true;
  changed_.notify_all();
}

Result<void> LayerStages::await_fetched(std::size_t layer) {
  std::unique_lock lock(mutex_);
  return wait(lock, [&] { return layers_[layer].fetched; });
}

void LayerStages::set_unpacked(std::size_t layer, std::string directory) {
  const std::lock_guard lock(mutex_);
  layers_[layer].directory = std::move(directory);
  changed_.notify_all();
}

Result<int> LayerStages::await_unpacked(std::size_t layer) {
  std::unique_lock lock(mutex_);
  Layer& one = layers_[layer];
  TRY(wait(lock, [&one] { return !one.directory.empty(); }));
  if (!one.root) one.root = TRY(sys::open(one.directory, O_RDONLY | O_DIRECTORY));
  return one.root.get();
}

void LayerStages::fail(std::size_t layer, Error error) {
  const std::lock_guard lock(mutex_);
  const bool consequence = error.code == Code::Cancelled && stop_.stop_requested();
  if (!consequence) failures_.emplace(layer, std::move(error));
  stop_.request_stop();
  changed_.notify_all();
}

void LayerStages::stop() {
  const std::lock_guard lock(mutex_);
  stop_.request_stop();
  changed_.notify_all();
}

Result<void> LayerStages::result() {
  const std::lock_guard lock(mutex_);
  if (!failures_.empty()) return berth::fail(failures_.begin()->second);
  if (stop_.stop_requested()) return berth::fail(Code::Cancelled, "unpacking stopped");
  return {};
}

}  // namespace berth::image
