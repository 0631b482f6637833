#include <fmt/core.h>

#include "sys/process.hpp"
#include "unit/native.hpp"
#include "unit/units.hpp"

namespace berth::unit {
namespace {

class Container final : public NativeUnit {
 public:
  UnitKind kind() const override { return UnitKind::Container; }

  // Namespaces are what it cannot do without; control groups only limit, and are asked for where a limit is.
  Result<void> probe() const override { return sys::probe_namespaces(); }

  Result<void> check(const UnitConfig& config) const override {
    if (config.rootfs.empty())
      return fail(Code::InvalidArgument,
                  "container: an image is needed (for a host command: --unit process)");
    if (config.network == isolate::NetworkMode::User || config.network == isolate::NetworkMode::Tap)
      return fail(Code::InvalidArgument,
                  "--network: a container has none or host so far; --unit vm has more");
    return {};
  }

  std::vector<std::string> isolates(const UnitConfig& config) const override {
    std::vector<std::string> list = {
        "files: its own root (overlay over the image's read-only layers), /proc, /sys and /dev",
        "processes: its own process numbers; it sees and signals none of the host's",
        "names: hostname, System V and POSIX message queues, shared memory, control group paths",
        config.privileged
            ? "privileges: none taken away (--privileged)"
            : "privileges: few capabilities, system call filter, masked kernel files, device list"};
    if (config.network == isolate::NetworkMode::None)
      list.emplace_back("network: nothing but its own loopback");
    if (config.userns) list.emplace_back("users: its root is an ordinary user of the host");
    return list;
  }

  std::vector<std::string> shares(const UnitConfig& config) const override {
    std::vector<std::string> list = {"the kernel: a bug in it reaches the host",
                                     "the clock, and the processor's caches"};
    if (config.network == isolate::NetworkMode::Host)
      list.emplace_back("network: the host's interfaces, ports and abstract sockets");
    if (!config.userns) list.emplace_back("users: its user numbers are the host's");
    for (const auto& volume : config.volumes) {
      if (!volume.tmpfs)
        list.push_back(fmt::format("files: {}{}", volume.source, volume.read_only ? " (read-only)" : ""));
    }
    return list;
  }

 protected:
  const isolate::IsolatorTable& isolators() const override {
    using namespace isolate;
    static const IsolatorTable table = {
        &cgroup_isolator(),       &namespaces_isolator(), &rootfs_isolator(),         &user_isolator(),
        &hostname_isolator(),     &network_isolator(),    &system_mounts_isolator(),  &leave_host_isolator(),
        &etc_files_isolator(),    &devices_isolator(),    &volumes_isolator(),        &sysctl_isolator(),
        &masks_isolator(),        &session_isolator(),    &read_only_root_isolator(), &rlimits_isolator(),
        &capabilities_isolator(), &seccomp_isolator(),
    };
    return table;
  }
};

}  // namespace

Unit& container_unit() {
  static Container unit;
  return unit;
}

}  // namespace berth::unit
