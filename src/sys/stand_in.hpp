// A process that does nothing but be there, for what asks for a process before the real one exists.
#pragma once

#include <sys/types.h>

#include <utility>

#include "base/result.hpp"

namespace berth::sys {

// Ends with its maker at the latest. The maker is single-threaded.
class StandIn {
 public:
  static Result<StandIn> start();
  StandIn(StandIn&& other) noexcept : pid_(std::exchange(other.pid_, -1)) {}
  StandIn& operator=(StandIn&& other) noexcept;
  StandIn(const StandIn&) = delete;
  StandIn& operator=(const StandIn&) = delete;
  ~StandIn() { end(); }

  pid_t pid() const { return pid_; }

 private:
  explicit StandIn(pid_t pid) : pid_(pid) {}
  void end() noexcept;
  pid_t pid_ = -1;
};

}  // namespace berth::sys
