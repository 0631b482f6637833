// How far each layer of one image has come: what the threads that unpack them tell each other.
#pragma once

#include <condition_variable>
#include <cstddef>
#include <map>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "sys/fd.hpp"

namespace berth::image {

// Layers are numbered from the bottom up. They are handed out in that order, so whoever holds a layer may
// wait for those below it: each of them has been taken by somebody, and the lowest waits for nobody. May be
// used by many threads at once.
class LayerStages {
 public:
  explicit LayerStages(std::size_t count) : layers_(count) {}

  // The lowest layer that is not unpacked and has not been handed out; empty once all are, or after a
  // failure.
  std::optional<std::size_t> next();

  void set_fetched(std::size_t layer);  // its blob is in the store
  Result<void> await_fetched(std::size_t layer);

  void set_unpacked(std::size_t layer, std::string directory);
  // Its directory, open for as long as this object lives: one descriptor a layer, however many ask.
  Result<int> await_unpacked(std::size_t layer);

  void fail(std::size_t layer, Error error);  // stops everybody
  void stop();                                // those who wait get Cancelled
  std::stop_token stop_token() const { return stop_.get_token(); }
  // The failure, of the lowest layer where there are several. Cancelled after stop().
  Result<void> result();

 private:
  struct Layer {
    bool fetched = false;
    std::string directory;  // "": not unpacked yet
    sys::Fd root;           // opened when first asked for
  };
  template <typename Predicate>
  Result<void> wait(std::unique_lock<std::mutex>& lock, Predicate done);

  std::mutex mutex_;
  std::condition_variable changed_;
  std::stop_source stop_;
  std::vector<Layer> layers_;
  std::size_t given_ = 0;
  std::map<std::size_t, Error> failures_;
};

}  // namespace berth::image
