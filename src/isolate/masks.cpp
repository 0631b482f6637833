// What of /proc and /sys a container must not read or write. The lists are those that Docker and Podman use
// (moby, oci/defaults.go; containers-common, default masked and read-only paths).
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

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

int mask(const char* path) noexcept {
  const sys::Fd target(::open(path, O_PATH | O_NOFOLLOW | O_CLOEXEC));
  if (!target) return errno == ENOENT ? 0 : errno;
  struct stat info {};
  if (::fstat(target.get(), &info) != 0) return errno;
  int fd = -1;
  const int error = S_ISDIR(info.st_mode)
                        ? sys::new_mount("tmpfs", {}, attr::kReadOnly | attr::kNoSuid | attr::kNoDev, &fd)
                        : sys::clone_mount(AT_FDCWD, "/dev/null", false, &fd);
  if (error != 0) return error;
  const sys::Fd mount(fd);
  return sys::attach_mount(mount.get(), target.get());
}

int make_read_only(const char* path) noexcept {
  int fd = -1;
  const int error = sys::clone_mount(AT_FDCWD, path, true, &fd);
  if (error != 0) return error == ENOENT ? 0 : error;
  const sys::Fd mount(fd);
  if (const int failed = sys::change_mount(mount.get(), true, attr::kReadOnly, 0, 0); failed != 0)
    return failed;
  const sys::Fd target(::open(path, O_PATH | O_CLOEXEC));
  return target ? sys::attach_mount(mount.get(), target.get()) : errno;
}

class Masks final : public Isolator {
 public:
  std::string_view name() const override { return "masks"; }

  Result<void> prepare(const Instance& instance, LaunchPlan& plan) const override {
    if (instance.config.privileged) return {};
    for (const char* path : kMasked) {
      plan.then(std::string("mask ") + path, [path]() noexcept { return mask(path); });
    }
    for (const char* path : kReadOnlyPaths) {
      plan.then(std::string("make read-only ") + path, [path]() noexcept { return make_read_only(path); });
    }
    return {};
  }
};

}  // namespace

const Isolator& masks_isolator() {
  static const Masks isolator;
  return isolator;
}

}  // namespace berth::isolate
