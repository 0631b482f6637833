#include "sys/mount.hpp"

#include <fmt/core.h>
#include <linux/mount.h>
#include <linux/openat2.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <climits>
#include <cstring>

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

int resolve(int root, const char* path, std::uint64_t flags, std::uint64_t how_to_resolve, int* fd) noexcept {
  open_how how{};
  how.flags = flags | O_CLOEXEC;
  how.resolve = how_to_resolve;
  for (;;) {
    const long result = ::syscall(SYS_openat2, root, path, &how, sizeof how);
    if (result >= 0) {
      *fd = static_cast<int>(result);
      return 0;
    }
    if (errno != EAGAIN && errno != EINTR) return errno;
  }
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

int idmap_mount(int fd, int user_namespace) noexcept {
  mount_attr attributes{};
  attributes.attr_set = MOUNT_ATTR_IDMAP;
  attributes.userns_fd = static_cast<std::uint64_t>(user_namespace);
  return as_errno(::syscall(SYS_mount_setattr, fd, "", AT_EMPTY_PATH, &attributes, sizeof attributes));
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

namespace {

constexpr int kMaxLinks = 8;

int make_path(const char* path, TargetKind kind, bool no_symlinks, int links) noexcept;

// The leaf is a symlink that leads nowhere yet: makes what it names.
int make_behind_link(const char* link, TargetKind kind, int links) noexcept {
  std::array<char, PATH_MAX> target;
  std::array<char, PATH_MAX> whole;
  const ssize_t length = ::readlink(link, target.data(), target.size() - 1);
  if (length < 0) return errno;
  target[static_cast<std::size_t>(length)] = '\0';
  if (links >= kMaxLinks) return ELOOP;
  if (target[0] == '/') return make_path(target.data(), kind, false, links + 1);
  const char* slash = std::strrchr(link, '/');
  const auto prefix = static_cast<std::size_t>(slash - link) + 1;
  if (prefix + static_cast<std::size_t>(length) >= whole.size()) return ENAMETOOLONG;
  std::memcpy(whole.data(), link, prefix);
  std::memcpy(whole.data() + prefix, target.data(), static_cast<std::size_t>(length) + 1);
  return make_path(whole.data(), kind, false, links + 1);
}

int make_leaf(const char* path, TargetKind kind, bool no_symlinks, int links) noexcept {
  struct stat info {};
  if (::lstat(path, &info) == 0) {
    if (!S_ISLNK(info.st_mode)) return 0;
    return no_symlinks ? ELOOP : make_behind_link(path, kind, links);
  }
  if (kind == TargetKind::Directory) return ::mkdir(path, 0755) == 0 || errno == EEXIST ? 0 : errno;
  const Fd made(::open(path, O_CREAT | O_WRONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0644));
  return made ? 0 : errno;
}

int make_path(const char* path, TargetKind kind, bool no_symlinks, int links) noexcept {
  std::array<char, PATH_MAX> walked;
  const std::size_t length = std::strlen(path);
  if (length == 0 || length >= walked.size() || path[0] != '/') return EINVAL;
  std::memcpy(walked.data(), path, length + 1);
  for (std::size_t end = 1; end < length; ++end) {
    if (walked[end] != '/') continue;
    walked[end] = '\0';
    if (::mkdir(walked.data(), 0755) != 0 && errno != EEXIST) return errno;
    walked[end] = '/';
  }
  return make_leaf(path, kind, no_symlinks, links);
}

}  // namespace

int open_target(const char* path, TargetKind kind, bool no_symlinks, int* target_fd) noexcept {
  const std::uint64_t how = no_symlinks ? RESOLVE_NO_SYMLINKS : RESOLVE_NO_MAGICLINKS;
  const int error = resolve(AT_FDCWD, path, O_PATH, how, target_fd);
  if (error != ENOENT) return error;
  if (const int failed = make_path(path, kind, no_symlinks, 0); failed != 0) return failed;
  return resolve(AT_FDCWD, path, O_PATH, how, target_fd);
}

}  // namespace berth::sys
