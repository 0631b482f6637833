#include "isolate/mount_steps.hpp"

#include <fmt/core.h>
#include <sys/mount.h>
#include <unistd.h>

#include "sys/copy_tree.hpp"

namespace berth::isolate {
namespace {

int find_target(const char* path, sys::TargetKind kind, bool no_symlinks, sys::Fd* target) noexcept {
  int fd = -1;
  const int error = sys::open_target(path, kind, no_symlinks, &fd);
  *target = sys::Fd(fd);
  return error;
}

// The new file system begins as a copy of the directory that it will cover, that one's owner and mode
// included.
int copy_up(int target, int mount) noexcept {
  const sys::Fd from(::openat(target, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  const sys::Fd to(::openat(mount, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  struct stat info {};
  if (!from || !to || ::fstat(from.get(), &info) != 0) return errno;
  if (::fchown(to.get(), info.st_uid, info.st_gid) != 0 || ::fchmod(to.get(), info.st_mode & 07777) != 0)
    return errno;
  return sys::copy_tree(from.get(), to.get());
}

int make_and_attach(const NewFilesystem& fs, const std::vector<sys::FsOption>& options) noexcept {
  sys::Fd target;
  if (const int error = find_target(fs.target.c_str(), sys::TargetKind::Directory, fs.no_symlinks, &target);
      error != 0)
    return error;
  const bool first_proc = fs.type == "proc" && fs.target == "/proc";
  if (const int error = sys::check_procfs_target(target.get(), fs.target.c_str()); error != 0 && !first_proc)
    return error;
  // A read-only mount cannot be filled: that comes last.
  const std::uint64_t attributes = fs.copy_up ? fs.attributes & ~attr::kReadOnly : fs.attributes;
  int fd = -1;
  if (const int error = sys::new_mount(fs.type.c_str(), options, attributes, &fd); error != 0) return error;
  const sys::Fd mount(fd);
  if (fs.copy_up) {
    if (const int error = copy_up(target.get(), fd); error != 0) return error;
    if (const int error = sys::change_mount(fd, false, fs.attributes & attr::kReadOnly, 0, 0); error != 0)
      return error;
  }
  if (!fs.tree.empty()) {
    if (const int error = sys::change_mount(fd, true, fs.tree.set, fs.tree.clear, 0); error != 0)
      return error;
  }
  if (const int error = sys::attach_mount(fd, target.get()); error != 0) return error;
  for (const PropagationChange& change : fs.propagation) {
    if (const int error = sys::change_mount(fd, change.recursive, 0, 0, change.kind); error != 0)
      return error;
  }
  return 0;
}

}  // namespace

void mount_new(LaunchPlan& plan, NewFilesystem filesystem) {
  std::string what = fmt::format("mount {} on {}", filesystem.type, filesystem.target);
  // On the heap, so that the options' pointers into it survive the move into the step.
  auto owned = std::make_unique<NewFilesystem>(std::move(filesystem));
  std::vector<sys::FsOption> options;
  for (const auto& [key, value] : owned->options) {
    options.push_back({key.c_str(), value.empty() ? nullptr : value.c_str(), -1});
  }
  plan.then(std::move(what), [fs = std::move(owned), options = std::move(options)]() noexcept {
    return make_and_attach(*fs, options);
  });
}

int attach_safely(int mount, const char* target, sys::TargetKind kind) noexcept {
  sys::Fd place;
  if (const int error = find_target(target, kind, false, &place); error != 0) return error;
  if (const int error = sys::check_procfs_target(place.get(), target); error != 0) return error;
  return sys::attach_mount(mount, place.get());
}

void mount_prepared(LaunchPlan& plan, sys::Fd mount, const std::string& target, sys::TargetKind kind) {
  plan.then(fmt::format("mount on {}", target), [mount = std::move(mount), target, kind]() noexcept {
    return attach_safely(mount.get(), target.c_str(), kind);
  });
}

Result<sys::Fd> clone_host_file(int fd, bool recursive, const std::string& name) {
  int mount = -1;
  if (const int error = sys::clone_mount(fd, "", recursive, &mount); error != 0)
    return fail_errno(fmt::format("cannot open {} for mounting", name), error);
  return sys::Fd(mount);
}

Result<sys::Fd> clone_host_path(const std::string& path, bool recursive) {
  int fd = -1;
  const int error = sys::clone_mount(AT_FDCWD, path.c_str(), recursive, &fd);
  if (error != 0) return fail_errno(fmt::format("cannot open {} for mounting", path), error);
  sys::Fd mount(fd);
  if (const int failed = sys::change_mount(fd, recursive, 0, 0, MS_PRIVATE); failed != 0)
    return fail_errno(fmt::format("cannot keep mounts below {} apart from the host's", path), failed);
  return mount;
}

}  // namespace berth::isolate
