#include "sys/own_program.hpp"

#include <fcntl.h>
#include <fmt/core.h>
#include <linux/magic.h>
#include <linux/mount.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <cstring>

#include "sys/fd.hpp"
#include "sys/mount.hpp"

namespace berth::sys {
namespace {

constexpr const char* kSelf = "/proc/self/exe";
constexpr int kSeals = F_SEAL_SEAL | F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_WRITE;
constexpr unsigned kExecutable = 0x10;  // MFD_EXEC (Linux 6.3), which the headers of Debian 12 lack

bool is_sealed(const Fd& file) { return file && (::fcntl(file.get(), F_GET_SEALS) & kSeals) == kSeals; }

// The look through the mount that the path leads through: with the mount's own read-only flag.
Result<bool> is_out_of_reach(const char* program) {
  struct statfs info {};
  if (::statfs(program, &info) != 0) return fail_errno(fmt::format("cannot look at {}", program));
  if ((info.f_flags & ST_RDONLY) != 0) return true;
  return info.f_type == TMPFS_MAGIC && is_sealed(Fd(::open(program, O_RDONLY | O_CLOEXEC)));
}

// The containers of an ordinary user have no users but that one and its subordinate ones: never root.
Result<bool> is_of_root_alone(const char* program) {
  struct stat info {};
  if (::stat(program, &info) != 0) return fail_errno(fmt::format("cannot look at {}", program));
  return info.st_uid == 0 && (info.st_mode & (S_IWGRP | S_IWOTH)) == 0;
}

// Gone from every mount namespace as soon as its descriptor is closed: nobody can make it writable again.
int make_read_only_mount(const char* program, Fd* file) noexcept {
  int fd = -1;
  if (const int error = clone_mount(AT_FDCWD, program, false, &fd); error != 0) return error;
  *file = Fd(fd);
  return change_mount(fd, false, MOUNT_ATTR_RDONLY, 0, 0);
}

Result<Fd> make_sealed_copy(const char* program) {
  const Fd from = TRY(open(program, O_RDONLY));
  constexpr unsigned kFlags = MFD_CLOEXEC | MFD_ALLOW_SEALING;
  Fd copy(::memfd_create("berth", kFlags | kExecutable));
  if (!copy && errno == EINVAL) copy = Fd(::memfd_create("berth", kFlags));
  if (!copy) return fail_errno("cannot make a file in memory");
  for (;;) {
    const ssize_t count = ::sendfile(copy.get(), from.get(), nullptr, 1 << 30);
    if (count == 0) break;
    if (count < 0) return fail_errno(fmt::format("cannot copy {} into memory", program));
  }
  if (::fcntl(copy.get(), F_ADD_SEALS, kSeals) != 0) return fail_errno("cannot seal a file in memory");
  // A descriptor that could write to it would keep the program from being run.
  return open(fmt::format("/proc/self/fd/{}", copy.get()), O_RDONLY);
}

Result<Fd> find_out_of_reach(const char* program) {
  if (TRY(is_out_of_reach(program))) return Fd();
  Fd file;
  const int error = make_read_only_mount(program, &file);
  if (error == 0) return file;
  if (error == EPERM && TRY(is_of_root_alone(program))) return Fd();
  return make_sealed_copy(program);
}

const char* name_of(const char* program) {
  const char* const slash = std::strrchr(program, '/');
  return slash == nullptr ? program : slash + 1;
}

}  // namespace

Result<Fd> out_of_reach(const std::string& program) { return find_out_of_reach(program.c_str()); }

Result<void> run_out_of_reach(const std::vector<const char*>& argv) {
  const Fd file = TRY(find_out_of_reach(kSelf));
  if (!file) {
    ::prctl(PR_SET_NAME,
            name_of(argv.front()));  // execveat(2) before Linux 6.14 gives the descriptor's number
    return {};
  }
  ::syscall(SYS_execveat, file.get(), "", const_cast<char* const*>(argv.data()), environ, AT_EMPTY_PATH);
  return fail_errno("cannot run this program by a file that containers cannot write to");
}

}  // namespace berth::sys
