// Handing the descriptor of a listening system call filter (seccomp_unotify(2)) from the process that
// installs it to its launcher.
//
// From the moment of installing, any system call of that process may wait for a supervisor, which does not
// have the descriptor yet. So it makes none: it writes the number into memory shared with the launcher, which
// fetches the descriptor by pidfd_getfd(2) and says so in the same memory.
#pragma once

#include <atomic>
#include <memory>

#include "base/result.hpp"
#include "sys/fd.hpp"
#include "sys/seccomp.hpp"

namespace berth::sys {

// Made before the fork, used once.
class SeccompListener {
 public:
  static Result<SeccompListener> create();

  // The child's side, between fork and exec: installs `program`, and comes back once the launcher holds the
  // descriptor (the own one goes with exec). ETIMEDOUT where it is not fetched within 10 s.
  int install(const SeccompProgram& program) const noexcept;

  // The launcher's side, to be called while the child is about to install(): waits for the descriptor. Where
  // installing failed, that errno; Aborted where the child died.
  Result<Fd> take(int pidfd) const;

 private:
  struct Shared {
    std::atomic<int> state;  // kWaiting, kTaken, a descriptor's number, or a negative errno
  };
  struct Unmap {
    void operator()(Shared* shared) const noexcept;
  };
  explicit SeccompListener(Shared* shared) : shared_(shared) {}
  std::unique_ptr<Shared, Unmap> shared_;
};

}  // namespace berth::sys
