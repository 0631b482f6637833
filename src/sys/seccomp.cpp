#include "sys/seccomp.hpp"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

namespace berth::sys {

static_assert(sizeof(sock_filter) == sizeof(std::uint64_t));

bool SeccompProfile::notifies() const {
  return fallback.action == SeccompAction::Notify ||
         std::any_of(rules.begin(), rules.end(),
                     [](const SeccompRule& rule) { return rule.verdict.action == SeccompAction::Notify; });
}

bool SeccompProgram::listens() const { return (flags & SECCOMP_FILTER_FLAG_NEW_LISTENER) != 0; }

unsigned seccomp_install_flags(const SeccompProfile& profile) {
  // Without a listener the kernel refuses what speaks of one.
  if (!profile.notifies()) return profile.flags & ~unsigned{SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV};
  unsigned flags = profile.flags | SECCOMP_FILTER_FLAG_NEW_LISTENER;
  // Both results of one call: the descriptor, so a thread that cannot follow must be an errno (seccomp(2)).
  if ((flags & SECCOMP_FILTER_FLAG_TSYNC) != 0) flags |= SECCOMP_FILTER_FLAG_TSYNC_ESRCH;
  return flags;
}

bool kernel_takes_seccomp_flags(unsigned flags) {
  // A kernel that knows the flags comes as far as the missing program.
  return ::syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, nullptr) != 0 && errno == EFAULT;
}

int install_seccomp(const SeccompProgram& program, int* listener) noexcept {
  if (program.listens() && listener == nullptr) return EINVAL;
  sock_fprog filter{};
  filter.len = static_cast<unsigned short>(program.instructions.size());
  // The kernel only reads it.
  filter.filter = const_cast<sock_filter*>(reinterpret_cast<const sock_filter*>(program.instructions.data()));
  const long result = ::syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, program.flags, &filter);
  if (result < 0) return errno;
  if (program.listens()) *listener = static_cast<int>(result);
  return 0;
}

}  // namespace berth::sys
