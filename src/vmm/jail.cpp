#include "vmm/jail.hpp"

#include <errno.h>
#include <linux/seccomp.h>
#include <unistd.h>

#include "sys/jail.hpp"
#include "sys/seccomp.hpp"

namespace berth::vmm {
namespace {

using sys::SeccompAction;
using sys::SeccompCompare;

// Threads and time; memory; descriptors that are open already; sockets that are connected or listening.
const std::vector<std::string> kAllowed = {
    "futex", "sched_yield", "sched_getaffinity", "clone", "clone3", "set_robust_list", "rseq", "gettid",
    "getpid", "exit", "exit_group", "membarrier", "getcpu", "clock_gettime", "clock_nanosleep", "nanosleep",
    "gettimeofday", "time", "rt_sigaction", "rt_sigprocmask", "rt_sigreturn", "sigaltstack",
    "restart_syscall", "getrandom", "prctl",
    //
    "mmap", "munmap", "mprotect", "mremap", "madvise", "brk", "memfd_create", "ftruncate", "fallocate",
    //
    "read", "write", "readv", "writev", "pread64", "pwrite64", "preadv", "pwritev", "fsync", "fdatasync",
    "lseek", "fstat", "newfstatat", "fcntl", "dup", "close", "poll", "ppoll", "pipe2", "eventfd2",
    //
    "accept4", "sendto", "recvfrom", "sendmsg", "recvmsg", "shutdown"};

constexpr std::uint64_t kWindowSize = 0x5413;                   // TIOCGWINSZ
constexpr std::uint64_t kTypeMask = 0xff00, kKvmType = 0xae00;  // KVM's requests (linux/kvm.h, KVMIO)

}  // namespace

Result<void> enter_jail() { return sys::enter_jail({.devices = {"/dev/kvm"}}); }

Result<void> filter_system_calls() {
  const sys::SeccompVerdict allow{SeccompAction::Allow, 0};
  sys::SeccompProfile profile;
  profile.fallback = {SeccompAction::Errno, EPERM};
  profile.flags = SECCOMP_FILTER_FLAG_TSYNC;
  profile.rules.push_back({kAllowed, allow, {}});
  profile.rules.push_back({{"ioctl"}, allow, {{1, SeccompCompare::Equal, kWindowSize, 0}}});
  profile.rules.push_back({{"ioctl"}, allow, {{1, SeccompCompare::MaskedEqual, kTypeMask, kKvmType}}});
  // An engine may kick a thread of its own process, and nobody else's.
  profile.rules.push_back(
      {{"tgkill"}, allow, {{0, SeccompCompare::Equal, static_cast<std::uint64_t>(::getpid()), 0}}});
  const auto program = TRY(sys::compile_seccomp(profile));
  if (const int error = sys::install_seccomp(program); error != 0)
    return fail_errno("cannot filter system calls", error);
  return {};
}

}  // namespace berth::vmm
