#include "guest_init/boot.hpp"

#include <fcntl.h>
#include <fmt/core.h>
#include <sys/mount.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <vector>

#include "sys/early_boot.hpp"
#include "sys/fd.hpp"
#include "sys/interface.hpp"
#include "sys/process.hpp"

namespace berth::guest_init {
namespace {

constexpr const char* kNewRoot = "/new-root";

struct SystemMount {
  const char* type;
  const char* target;
  unsigned long flags;
  const char* data;
};
constexpr unsigned long kPlain = MS_NOSUID | MS_NODEV | MS_NOEXEC;
constexpr SystemMount kMounts[] = {
    {"proc", "/proc", kPlain, ""},
    {"sysfs", "/sys", kPlain, ""},
    {"devtmpfs", "/dev", MS_NOSUID, ""},
    {"cgroup2", "/sys/fs/cgroup", kPlain, ""},
    {"tmpfs", "/run", MS_NOSUID | MS_NODEV, "mode=0755"},
};

// The kernel could not open a console before there was a /dev.
Result<void> open_console() {
  const sys::Fd console = TRY(sys::open("/dev/console", O_RDWR | O_NOCTTY));
  for (const int fd : {0, 1, 2})
    if (console.get() != fd && ::dup2(console.get(), fd) < 0) return fail_errno("cannot use the console");
  if (console.get() <= 2 && ::fcntl(console.get(), F_SETFD, 0) != 0)
    return fail_errno("cannot keep the console");
  return {};
}

Result<void> load_modules() {
  std::vector<std::string> paths;
  std::error_code none;
  for (const auto& entry : std::filesystem::directory_iterator("/modules", none))
    paths.push_back(entry.path());
  std::sort(paths.begin(), paths.end());
  for (const std::string& path : paths) TRY(sys::load_module(path));
  return {};
}

}  // namespace

isolate::InstancePaths instance_paths() { return {"/state", "/run/berth", ""}; }

Result<void> boot() {
  TRY(load_modules());
  // pivot_root(2) does not leave an initramfs: the root is a tmpfs over it.
  TRY(sys::mount_file_system("tmpfs", "root", kNewRoot, 0, "mode=0755"));
  TRY(sys::switch_root(kNewRoot));
  for (const SystemMount& mount : kMounts)
    TRY(sys::mount_file_system(mount.type, mount.type, mount.target, mount.flags, mount.data));
  TRY(open_console());
  TRY(sys::make_dir(instance_paths().state));
  return sys::make_dir(instance_paths().run);
}

Result<void> set_up_network(const isolate::GuestInterface& interface) {
  if (const int error = sys::bring_up_loopback(); error != 0)
    return fail_errno("cannot bring up the guest's loopback interface", error);
  auto config = TRY(sys::parse_ipv4_interface(interface.address));
  if (!interface.gateway.empty()) config.gateway = TRY(sys::parse_ipv4(interface.gateway));
  const auto done = sys::configure_interface("eth0", config);
  if (done || done.error().code != Code::NotFound) return done;
  return fail(Code::FailedPrecondition,
              "the guest has no eth0: its kernel has no driver virtio_net, or came before berth took that "
              "along: add it "
              "again (berth kernel add), or use --network none");
}

Result<void> mount_layer(std::size_t index) {
  constexpr std::size_t kLetters = 26;
  if (index >= kLetters) return fail(Code::OutOfRange, "an image of more than 26 layers");
  const std::string disk = fmt::format("/dev/vd{}", static_cast<char>('a' + index));
  return sys::mount_file_system("erofs", disk, fmt::format("{}/{}", kLayers, index), MS_RDONLY, "");
}

}  // namespace berth::guest_init
