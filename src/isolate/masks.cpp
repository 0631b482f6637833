// What of /proc and /sys a container must not read or write. The lists are those that Docker and Podman use
// (moby, oci/defaults.go; containers-common, default masked and read-only paths).
#include "isolate/masks.hpp"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <array>

#include "isolate/isolator.hpp"
#include "isolate/mount_steps.hpp"

namespace berth::isolate {
namespace {

constexpr std::array kMasked = {"/proc/acpi",
                                "/proc/asound",
                                "/proc/interrupts",
                                "/proc/kcore",
                                "/proc/keys",
                                "/proc/latency_stats",
                                "/proc/timer_list",
                                "/proc/timer_stats",
                                "/proc/sched_debug",
                                "/proc/scsi",
                                "/sys/firmware",
                                "/sys/dev/block",
                                "/sys/devices/virtual/powercap"};
constexpr std::array kReadOnlyPaths = {"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys",
                                       "/proc/sysrq-trigger"};

int open_existing(const char* path, sys::Fd* opened) noexcept {
  const sys::Fd root(::open("/", O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!root) return errno;
  int fd = -1;
  const int error = sys::open_target_in(root.get(), path, {.make = false}, &fd);
  *opened = sys::Fd(fd);
  return error;
}

int clone_null_device(int* mount) noexcept {
  sys::Fd null;
  if (const int error = open_existing("/dev/null", &null); error != 0) return error;
  struct stat info {};
  if (::fstat(null.get(), &info) != 0) return errno;
  if (!S_ISCHR(info.st_mode) || info.st_rdev != ::makedev(1, 3)) return EINVAL;
  return sys::clone_mount(null.get(), "", false, mount);
}

int mask(const char* path) noexcept {
  sys::Fd target;
  if (const int error = open_existing(path, &target); error != 0)
    return error == ENOENT || error == ENOTDIR ? 0 : error;
  struct stat info {};
  if (::fstat(target.get(), &info) != 0) return errno;
  int fd = -1;
  const int error = S_ISDIR(info.st_mode)
                        ? sys::new_mount("tmpfs", {}, attr::kReadOnly | attr::kNoSuid | attr::kNoDev, &fd)
                        : clone_null_device(&fd);
  if (error != 0) return error;
  const sys::Fd mount(fd);
  return sys::attach_mount(mount.get(), target.get());
}

int make_read_only(const char* path) noexcept {
  sys::Fd target;
  if (const int error = open_existing(path, &target); error != 0)
    return error == ENOENT || error == ENOTDIR ? 0 : error;
  int fd = -1;
  if (const int error = sys::clone_mount(target.get(), "", true, &fd); error != 0) return error;
  const sys::Fd mount(fd);
  if (const int error = sys::change_mount(fd, true, attr::kReadOnly, 0, 0); error != 0) return error;
  return sys::attach_mount(fd, target.get());
}

class Masks final : public Isolator {
 public:
  std::string_view name() const override { return "masks"; }

  Result<void> prepare(const Instance& instance, LaunchPlan& plan) const override {
    if (instance.config.privileged) return {};
    for (const char* path : kMasked) mask_path(plan, path);
    for (const char* path : kReadOnlyPaths) make_path_read_only(plan, path);
    return {};
  }
};

}  // namespace

void mask_path(LaunchPlan& plan, const std::string& path) {
  plan.then("mask " + path, [path]() noexcept { return mask(path.c_str()); });
}

void make_path_read_only(LaunchPlan& plan, const std::string& path) {
  plan.then("make read-only " + path, [path]() noexcept { return make_read_only(path.c_str()); });
}

const Isolator& masks_isolator() {
  static const Masks isolator;
  return isolator;
}

}  // namespace berth::isolate
