// Host paths and tmpfs that a person asked for (-v, --tmpfs), and host devices (--device).
#include <fmt/core.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "isolate/isolator.hpp"
#include "isolate/mount_steps.hpp"

namespace berth::isolate {
namespace {

void add_tmpfs(const VolumeMount& volume, LaunchPlan& plan) {
  NewFilesystem tmpfs{"tmpfs", volume.destination, {{"mode", "1777"}}};
  if (volume.tmpfs_size_bytes != 0)
    tmpfs.options.emplace_back("size", fmt::format("{}", volume.tmpfs_size_bytes));
  tmpfs.no_symlinks = false;
  if (volume.read_only) tmpfs.attributes |= attr::kReadOnly;
  mount_new(plan, std::move(tmpfs));
}

Result<void> add_host_path(const VolumeMount& volume, LaunchPlan& plan) {
  struct stat info {};
  if (::stat(volume.source.c_str(), &info) != 0) {
    return fail_errno(
        fmt::format("volume {}:{}: cannot find {}", volume.source, volume.destination, volume.source));
  }
  sys::Fd mount = TRY(clone_host_path(volume.source, true));
  if (volume.read_only) {
    if (const int error = sys::change_mount(mount.get(), true, attr::kReadOnly, 0, 0); error != 0) {
      return fail_errno(fmt::format("volume {}: cannot make it read-only", volume.source), error);
    }
  }
  const auto kind = S_ISDIR(info.st_mode) ? sys::TargetKind::Directory : sys::TargetKind::File;
  mount_prepared(plan, std::move(mount), volume.destination, kind);
  return {};
}

class Volumes final : public Isolator {
 public:
  std::string_view name() const override { return "volumes"; }

  Result<void> prepare(const Instance& instance, LaunchPlan& plan) const override {
    for (const VolumeMount& volume : instance.config.volumes) {
      if (volume.tmpfs)
        add_tmpfs(volume, plan);
      else
        TRY(add_host_path(volume, plan));
    }
    return {};
  }
};

class Devices final : public Isolator {
 public:
  std::string_view name() const override { return "devices"; }

  Result<void> prepare(const Instance& instance, LaunchPlan& plan) const override {
    for (const DeviceMapping& device : instance.config.devices) {
      struct stat info {};
      if (::stat(device.host_path.c_str(), &info) != 0) {
        return fail_errno(fmt::format("--device {}: cannot find it", device.host_path));
      }
      if (!S_ISCHR(info.st_mode) && !S_ISBLK(info.st_mode)) {
        return fail(Code::InvalidArgument, fmt::format("--device {}: not a device", device.host_path));
      }
      mount_prepared(plan, TRY(clone_host_path(device.host_path, false)), device.unit_path,
                     sys::TargetKind::File);
    }
    return {};
  }
};

}  // namespace

const Isolator& volumes_isolator() {
  static const Volumes isolator;
  return isolator;
}

const Isolator& devices_isolator() {
  static const Devices isolator;
  return isolator;
}

}  // namespace berth::isolate
