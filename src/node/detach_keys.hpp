// Finding the keys that detach from an instance in what is typed.
#pragma once

#include <string>
#include <string_view>

#include "base/result.hpp"

namespace berth::node {

// "ctrl-p,ctrl-q" as bytes; single characters stand for themselves; "" gives "".
Result<std::string> parse_detach_keys(std::string_view text);

class DetachKeys {
 public:
  explicit DetachKeys(std::string keys) : keys_(std::move(keys)) {}
  // Appends to `out` what of `typed` is to be passed on; a beginning of the keys is held back until it is
  // clear whether the rest follows. True once the keys are complete.
  bool filter(std::string_view typed, std::string& out);

 private:
  std::string keys_;
  std::size_t matched_ = 0;
};

}  // namespace berth::node
