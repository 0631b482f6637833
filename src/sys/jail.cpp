#include "sys/jail.hpp"

#include <fcntl.h>
#include <fmt/core.h>
#include <grp.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sys/capability.hpp"
#include "sys/fd.hpp"
#include "sys/mount.hpp"
#include "sys/process.hpp"
#include "sys/user_map.hpp"

namespace berth::sys {
namespace {

// Users from here on are nobody's by any convention of Debian's or systemd's; each process takes one at
// random, so that two of them can do nothing to each other.
constexpr uid_t kFirstUser = 0x60000000;
constexpr uid_t kUserMask = 0x0fffffff;

Result<void> check(int error, std::string_view step) {
  if (error != 0) return fail_errno(fmt::format("cannot {}", step), error);
  return {};
}

// A device of the host on its way into the jail.
struct Device {
  std::string path;
  Fd mount;
  gid_t group = 0;  // which may open it
};

Result<Device> clone_device(const std::string& path) {
  const auto info = TRY(stat(path));
  int mount = -1;
  TRY(check(clone_mount(AT_FDCWD, path.c_str(), false, &mount), fmt::format("clone {}", path)));
  return Device{path, Fd(mount), info.st_gid};
}

Result<void> place_device(const Device& device) {
  TRY(make_dir(device.path.substr(0, device.path.rfind('/'))));
  const Fd place = TRY(open(device.path, O_CREAT | O_EXCL | O_RDONLY, 0600));
  return check(attach_mount(device.mount.get(), place.get()), fmt::format("mount {}", device.path));
}

Result<void> leave_user(bool rootless, const std::vector<gid_t>& groups) {
  if (rootless) return check(apply_capabilities({}), "give up capabilities");
  uid_t random = 0;
  if (::getrandom(&random, sizeof random, 0) != sizeof random) return fail_errno("cannot choose a user");
  const uid_t user = kFirstUser + (random & kUserMask);
  return check(set_user(user, user, groups.data(), groups.size(), true), "become a user of its own");
}

}  // namespace

Result<void> enter_jail(const Jail& jail) {
  const bool rootless = in_user_namespace();  // /proc tells, and is left behind
  TRY(check(new_namespaces(CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWCGROUP),
            "make namespaces"));
  TRY(check(change_mount_at("/", true, 0, 0, MS_PRIVATE), "make mounts private"));
  std::vector<Device> devices;
  std::vector<gid_t> groups;
  for (const std::string& path : jail.devices) {
    auto device = clone_device(path);
    if (!device) continue;  // not here
    groups.push_back(device->group);
    devices.push_back(*std::move(device));
  }
  const Fd root = TRY(make_mount("tmpfs", {{"size", "64k", -1}, {"mode", "0755", -1}}, 0));
  TRY(check(pivot_into(root.get()), "enter an empty root"));
  TRY(check(drop_old_root(), "leave the host's root"));
  for (const Device& device : devices) TRY(place_device(device));
  constexpr std::uint64_t kReadOnly = 1;  // MOUNT_ATTR_RDONLY
  TRY(check(change_mount_at("/", false, kReadOnly, 0, 0), "make the root read-only"));
  TRY(leave_user(rootless, groups));
  TRY(check(hide_from_ptrace(), "hide from other processes"));
  return check(set_no_new_privileges(), "give up new privileges");
}

}  // namespace berth::sys
