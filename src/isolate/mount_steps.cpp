#include "isolate/mount_steps.hpp"

#include <fmt/core.h>

#include "base/text.hpp"

namespace berth::isolate {
namespace {

int mount_at(int mount, const char* target, sys::TargetKind kind, bool no_symlinks) noexcept {
  int fd = -1;
  if (const int error = sys::open_target(target, kind, no_symlinks, &fd); error != 0) return error;
  const sys::Fd opened(fd);
  return sys::attach_mount(mount, opened.get());
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
    int fd = -1;
    if (const int error = sys::new_mount(fs->type.c_str(), options, fs->attributes, &fd); error != 0)
      return error;
    const sys::Fd mount(fd);
    return mount_at(mount.get(), fs->target.c_str(), sys::TargetKind::Directory, fs->no_symlinks);
  });
}

void mount_prepared(LaunchPlan& plan, sys::Fd mount, const std::string& target, sys::TargetKind kind) {
  plan.then(fmt::format("mount on {}", target), [mount = std::move(mount), target, kind]() noexcept {
    return mount_at(mount.get(), target.c_str(), kind, false);
  });
}

Result<sys::Fd> clone_host_path(const std::string& path, bool recursive) {
  int fd = -1;
  const int error = sys::clone_mount(AT_FDCWD, path.c_str(), recursive, &fd);
  if (error != 0) return fail_errno(fmt::format("cannot open {} for mounting", path), error);
  return sys::Fd(fd);
}

bool in_user_namespace() {
  const auto map = sys::read_file("/proc/self/uid_map");
  if (!map) return false;
  std::vector<std::string> fields;
  for (std::string& field : split(trim(*map), ' ')) {
    if (!field.empty()) fields.push_back(std::move(field));
  }
  return fields != std::vector<std::string>{"0", "0", "4294967295"};
}

}  // namespace berth::isolate
