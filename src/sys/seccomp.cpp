#include "sys/seccomp.hpp"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>

namespace berth::sys {

static_assert(sizeof(sock_filter) == sizeof(std::uint64_t));

int install_seccomp(const SeccompProgram& program) noexcept {
  sock_fprog filter{};
  filter.len = static_cast<unsigned short>(program.instructions.size());
  // The kernel only reads it.
  filter.filter = const_cast<sock_filter*>(reinterpret_cast<const sock_filter*>(program.instructions.data()));
  return ::syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, program.flags, &filter) == 0 ? 0 : errno;
}

}  // namespace berth::sys
