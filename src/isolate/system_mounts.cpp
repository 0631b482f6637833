// A container's own /proc, /sys and /dev, as the runtime spec's "default filesystems" and "default devices"
// ask (runtime-spec, config-linux.md).
#include "isolate/cgroup_mounts.hpp"
#include "isolate/device_nodes.hpp"
#include "isolate/isolator.hpp"
#include "isolate/mount_steps.hpp"
#include "sys/user_map.hpp"

namespace berth::isolate {
namespace {

Result<void> add_dev(const Instance& instance, LaunchPlan& plan) {
  const bool shifted = instance.config.userns.has_value() || sys::in_user_namespace();
  if (instance.config.privileged) {
    mount_prepared(plan, TRY(clone_host_path("/dev", true)), "/dev", sys::TargetKind::Directory);
  } else {
    mount_new(plan, {"tmpfs", "/dev", {{"mode", "0755"}, {"size", "65536k"}}, attr::kNoSuid | attr::kNoExec});
    for (const DeviceNode& node : default_device_nodes()) TRY(add_device_node(plan, node, !shifted));
  }
  NewFilesystem pts{"devpts", "/dev/pts", {{"newinstance", ""}, {"ptmxmode", "0666"}, {"mode", "0620"}}};
  pts.attributes = attr::kNoSuid | attr::kNoExec;
  // Group 5 is "tty" everywhere; a user namespace that lacks it keeps the opener's group.
  if (!shifted || (instance.config.userns && instance.config.userns->count > 5))
    pts.options.emplace_back("gid", "5");
  mount_new(plan, std::move(pts));
  mount_new(plan, {"tmpfs", "/dev/shm", {{"mode", "1777"}, {"size", "65536k"}}});
  mount_new(plan, {"mqueue", "/dev/mqueue", {}});
  add_device_links(plan);
  return {};
}

class SystemMounts final : public Isolator {
 public:
  std::string_view name() const override { return "system-mounts"; }

  Result<void> prepare(const Instance& instance, LaunchPlan& plan) const override {
    mount_new(plan, {"proc", "/proc", {}});
    const bool rootless = sys::in_user_namespace();
    if (instance.config.network == NetworkMode::None || (!rootless && !instance.config.userns)) {
      const auto writable = instance.config.privileged ? 0 : attr::kReadOnly;
      mount_new(plan, {"sysfs", "/sys", {}, attr::kNoSuid | attr::kNoDev | attr::kNoExec | writable});
    } else {
      // sysfs belongs to a network namespace; who does not own that one gets a read-only view of the host's.
      sys::Fd sysfs = TRY(clone_host_path("/sys", true));
      if (const int error = sys::change_mount(sysfs.get(), true, attr::kReadOnly, 0, 0); error != 0) {
        return fail_errno("cannot make /sys read-only", error);
      }
      mount_prepared(plan, std::move(sysfs), "/sys", sys::TargetKind::Directory);
    }
    if (!rootless) TRY(mount_cgroups(plan, {}));
    return add_dev(instance, plan);
  }
};

// The process unit with an image: another root directory, but nothing of the host's system hidden.
class HostSystemMounts final : public Isolator {
 public:
  std::string_view name() const override { return "host-system-mounts"; }

  Result<void> prepare(const Instance& instance, LaunchPlan& plan) const override {
    if (instance.config.rootfs.empty()) return {};
    for (const char* path : {"/proc", "/sys", "/dev"}) {
      mount_prepared(plan, TRY(clone_host_path(path, true)), path, sys::TargetKind::Directory);
    }
    return {};
  }
};

}  // namespace

const Isolator& system_mounts_isolator() {
  static const SystemMounts isolator;
  return isolator;
}

const Isolator& host_system_mounts_isolator() {
  static const HostSystemMounts isolator;
  return isolator;
}

}  // namespace berth::isolate
