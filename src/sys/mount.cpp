#include "sys/mount.hpp"

#include <fmt/core.h>
#include <linux/mount.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>

namespace berth::sys {
namespace {

// glibc 2.36 wraps these calls, but its <sys/mount.h> and <linux/mount.h> cannot be included together.
constexpr unsigned kUnmountDetach = 2;  // MNT_DETACH

int as_errno(long result) noexcept { return result < 0 ? errno : 0; }

int configure(int context, const FsOption& option) noexcept {
  if (option.fd >= 0) {
    return as_errno(::syscall(SYS_fsconfig, context, FSCONFIG_SET_FD, option.key, nullptr, option.fd));
  }
  const auto command = option.value == nullptr ? FSCONFIG_SET_FLAG : FSCONFIG_SET_STRING;
  return as_errno(::syscall(SYS_fsconfig, context, command, option.key, option.value, 0));
}

// Runs fsopen ... fsmount; leaves the context open for its log where `context_out` is given.
int build_mount(const char* type, std::span<const FsOption> options, std::uint64_t attributes, int* mount_fd,
                Fd& context) noexcept {
  context = Fd(static_cast<int>(::syscall(SYS_fsopen, type, FSOPEN_CLOEXEC)));
  if (!context) return errno;
  for (const FsOption& option : options) {
    if (const int error = configure(context.get(), option); error != 0) return error;
  }
  if (::syscall(SYS_fsconfig, context.get(), FSCONFIG_CMD_CREATE, nullptr, nullptr, 0) != 0) return errno;
  const long fd = ::syscall(SYS_fsmount, context.get(), FSMOUNT_CLOEXEC, static_cast<unsigned>(attributes));
  if (fd < 0) return errno;
  *mount_fd = static_cast<int>(fd);
  return 0;
}

// The kernel's own words on what it did not like, e.g. "overlay: upper fs does not support xattr".
std::string context_log(int context) {
  std::string log;
  std::array<char, 1024> line;
  ssize_t count = 0;
  while ((count = ::read(context, line.data(), line.size())) > 0) {
    std::string_view text(line.data(), static_cast<std::size_t>(count));
    if (text.size() > 2 && text[1] == ' ') text.remove_prefix(2);  // "e " for errors, "w " for warnings
    log += fmt::format("{}{}", log.empty() ? "" : "; ", text);
  }
  return log;
}

}  // namespace

int new_mount(const char* type, std::span<const FsOption> options, std::uint64_t attributes,
              int* mount_fd) noexcept {
  Fd context;
  return build_mount(type, options, attributes, mount_fd, context);
}

Result<Fd> make_mount(const std::string& type, const std::vector<FsOption>& options,
                      std::uint64_t attributes) {
  Fd context;
  int mount_fd = -1;
  const int error = build_mount(type.c_str(), options, attributes, &mount_fd, context);
  if (error == 0) return Fd(mount_fd);
  const std::string log = context ? context_log(context.get()) : "";
  return fail_errno(fmt::format("cannot make a {} mount{}{}", type, log.empty() ? "" : ": ", log), error);
}

int clone_mount(int dir, const char* path, bool recursive, int* mount_fd) noexcept {
  unsigned flags = OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH;
  if (recursive) flags |= AT_RECURSIVE;
  const long fd = ::syscall(SYS_open_tree, dir, path, flags);
  if (fd < 0) return errno;
  *mount_fd = static_cast<int>(fd);
  return 0;
}

int change_mount(int fd, bool recursive, std::uint64_t set, std::uint64_t clear,
                 std::uint64_t propagation) noexcept {
  mount_attr attributes{};
  attributes.attr_set = set;
  attributes.attr_clr = clear;
  attributes.propagation = propagation;
  const unsigned flags = AT_EMPTY_PATH | (recursive ? AT_RECURSIVE : 0U);
  return as_errno(::syscall(SYS_mount_setattr, fd, "", flags, &attributes, sizeof attributes));
}

int change_mount_at(const char* path, bool recursive, std::uint64_t set, std::uint64_t clear,
                    std::uint64_t propagation) noexcept {
  mount_attr attributes{};
  attributes.attr_set = set;
  attributes.attr_clr = clear;
  attributes.propagation = propagation;
  return as_errno(::syscall(SYS_mount_setattr, AT_FDCWD, path, recursive ? AT_RECURSIVE : 0U, &attributes,
                            sizeof attributes));
}

int idmap_mount(int fd, int user_namespace, bool recursive) noexcept {
  mount_attr attributes{};
  attributes.attr_set = MOUNT_ATTR_IDMAP;
  attributes.userns_fd = static_cast<std::uint64_t>(user_namespace);
  const unsigned flags = AT_EMPTY_PATH | (recursive ? AT_RECURSIVE : 0U);
  return as_errno(::syscall(SYS_mount_setattr, fd, "", flags, &attributes, sizeof attributes));
}

int reconfigure_mount(int fd, std::span<const FsOption> options) noexcept {
  const Fd context(static_cast<int>(::syscall(SYS_fspick, fd, "", FSPICK_CLOEXEC | FSPICK_EMPTY_PATH)));
  if (!context) return errno;
  for (const FsOption& option : options) {
    if (const int error = configure(context.get(), option); error != 0) return error;
  }
  return as_errno(::syscall(SYS_fsconfig, context.get(), FSCONFIG_CMD_RECONFIGURE, nullptr, nullptr, 0));
}

int attach_mount(int mount_fd, int target_fd) noexcept {
  return as_errno(::syscall(SYS_move_mount, mount_fd, "", target_fd, "",
                            MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH));
}

int pivot_into(int mount_fd) noexcept {
  if (::syscall(SYS_move_mount, mount_fd, "", AT_FDCWD, "/", MOVE_MOUNT_F_EMPTY_PATH) != 0) return errno;
  if (::fchdir(mount_fd) != 0) return errno;
  // pivot_root(".", "."): the two roots end up stacked at the same place (pivot_root(2), NOTES).
  if (::syscall(SYS_pivot_root, ".", ".") != 0) return errno;
  return as_errno(::chdir("/"));
}

int drop_old_root() noexcept {
  if (::chdir("/") != 0) return errno;
  if (::syscall(SYS_umount2, ".", kUnmountDetach) != 0) return errno;
  return as_errno(::chdir("/"));
}

}  // namespace berth::sys
