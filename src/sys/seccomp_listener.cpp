#include "sys/seccomp_listener.hpp"

#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <cerrno>
#include <climits>

#include "sys/process.hpp"

namespace berth::sys {
namespace {

constexpr int kWaiting = INT_MIN;
constexpr int kTaken = INT_MAX;
constexpr int kStepMs = 1;
constexpr time_t kTimeoutSeconds = 10;

// From the vDSO: no system call.
time_t now_seconds() noexcept {
  timespec now{};
  ::clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec;
}

}  // namespace

void SeccompListener::Unmap::operator()(Shared* shared) const noexcept { ::munmap(shared, sizeof(Shared)); }

Result<SeccompListener> SeccompListener::create() {
  static_assert(std::atomic<int>::is_always_lock_free);
  void* memory = ::mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return fail_errno("cannot share memory with a process");
  return SeccompListener(new (memory) Shared{kWaiting});
}

int SeccompListener::install(const SeccompProgram& program) const noexcept {
  int listener = -1;
  if (const int error = install_seccomp(program, &listener); error != 0) {
    shared_->state = -error;
    return error;
  }
  shared_->state = listener;
  // A launcher on the same processor goes on when this one's time slice ends; it takes a few milliseconds at
  // most.
  const time_t end = now_seconds() + kTimeoutSeconds;
  while (shared_->state != kTaken) {
    if (now_seconds() > end) return ETIMEDOUT;
  }
  return 0;
}

Result<Fd> SeccompListener::take(int pidfd) const {
  while (shared_->state == kWaiting) {
    if (TRY(wait_for_end(pidfd, kStepMs)) && shared_->state == kWaiting) {
      return fail(Code::Aborted, "the process died before it installed its system call filter");
    }
  }
  const int number = shared_->state;
  if (number < 0) return fail_errno("cannot install the system call filter", -number);
  Fd listener(static_cast<int>(::syscall(SYS_pidfd_getfd, pidfd, number, 0)));
  if (!listener) return fail_errno("cannot take over the listener of the system call filter");
  shared_->state = kTaken;
  return listener;
}

}  // namespace berth::sys
