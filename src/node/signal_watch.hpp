// Signals that a foreground command passes on to a workload instead of dying of them.
#pragma once

#include <signal.h>

#include <vector>

#include "base/result.hpp"
#include "sys/fd.hpp"

namespace berth::node {

// While it lives, window changes and (where wanted) all signals that ask a program for something are read
// from fd(). Those of job control keep their meaning here, and those that tell of a fault here cannot be
// anybody else's.
class SignalWatch {
 public:
  static Result<SignalWatch> start(bool forward);
  SignalWatch(SignalWatch&& other) noexcept = default;
  SignalWatch& operator=(SignalWatch&&) = delete;
  ~SignalWatch();
  int fd() const { return fd_.get(); }
  std::vector<int> take() const;  // what has come

 private:
  SignalWatch(sys::Fd fd, const sigset_t& before) : fd_(std::move(fd)), before_(before) {}
  sys::Fd fd_;
  sigset_t before_;
};

}  // namespace berth::node
