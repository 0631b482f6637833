// A container's own /proc, /sys and /dev, as the runtime spec's "default filesystems" and "default devices"
// ask (runtime-spec, config-linux.md).
#include <fcntl.h>
#include <fmt/core.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <array>

#include "isolate/cgroup_mounts.hpp"
#include "isolate/isolator.hpp"
#include "isolate/mount_steps.hpp"
#include "sys/user_map.hpp"

namespace berth::isolate {
namespace {

struct DeviceNode {
  const char* path;
  unsigned major;
  unsigned minor;
};
constexpr std::array<DeviceNode, 6> kNodes = {{{"/dev/null", 1, 3},
                                               {"/dev/zero", 1, 5},
                                               {"/dev/full", 1, 7},
                                               {"/dev/random", 1, 8},
                                               {"/dev/urandom", 1, 9},
                                               {"/dev/tty", 5, 0}}};

struct Link {
  const char* target;
  const char* path;
};
constexpr std::array<Link, 6> kLinks = {{{"/proc/self/fd", "/dev/fd"},
                                         {"/proc/self/fd/0", "/dev/stdin"},
                                         {"/proc/self/fd/1", "/dev/stdout"},
                                         {"/proc/self/fd/2", "/dev/stderr"},
                                         {"pts/ptmx", "/dev/ptmx"},
                                         {"/proc/kcore", "/dev/core"}}};

int make_nodes() noexcept {
  const mode_t old = ::umask(0);
  int error = 0;
  for (const DeviceNode& node : kNodes) {
    if (::mknod(node.path, S_IFCHR | 0666, ::makedev(node.major, node.minor)) != 0 && error == 0)
      error = errno;
  }
  ::umask(old);
  return error;
}

int make_links() noexcept {
  for (const Link& link : kLinks) {
    if (::symlink(link.target, link.path) != 0 && errno != EEXIST) return errno;
  }
  return 0;
}

// A user namespace may not make device nodes: there the host's are mounted one by one.
Result<void> add_nodes(LaunchPlan& plan, bool may_mknod) {
  if (may_mknod) {
    plan.then("make the device nodes of /dev", make_nodes);
    return {};
  }
  for (const DeviceNode& node : kNodes) {
    mount_prepared(plan, TRY(clone_host_path(node.path, false)), node.path, sys::TargetKind::File);
  }
  return {};
}

Result<void> add_dev(const Instance& instance, LaunchPlan& plan) {
  const bool shifted = instance.config.userns.has_value() || sys::in_user_namespace();
  if (instance.config.privileged) {
    mount_prepared(plan, TRY(clone_host_path("/dev", true)), "/dev", sys::TargetKind::Directory);
  } else {
    mount_new(plan, {"tmpfs", "/dev", {{"mode", "0755"}, {"size", "65536k"}}, attr::kNoSuid | attr::kNoExec});
    TRY(add_nodes(plan, !shifted));
  }
  NewFilesystem pts{"devpts", "/dev/pts", {{"newinstance", ""}, {"ptmxmode", "0666"}, {"mode", "0620"}}};
  pts.attributes = attr::kNoSuid | attr::kNoExec;
  // Group 5 is "tty" everywhere; a user namespace that lacks it keeps the opener's group.
  if (!shifted || (instance.config.userns && instance.config.userns->count > 5))
    pts.options.emplace_back("gid", "5");
  mount_new(plan, std::move(pts));
  mount_new(plan, {"tmpfs", "/dev/shm", {{"mode", "1777"}, {"size", "65536k"}}});
  mount_new(plan, {"mqueue", "/dev/mqueue", {}});
  plan.then("make the links of /dev", make_links);
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
