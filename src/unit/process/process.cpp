#include <fmt/core.h>

#include "unit/native.hpp"
#include "unit/units.hpp"

namespace berth::unit {
namespace {

Failure refuse(std::string_view option, std::string_view why) {
  return fail(Code::InvalidArgument, fmt::format("{}: a process {} (use --unit container)", option, why));
}

class Process final : public NativeUnit {
 public:
  UnitKind kind() const override { return UnitKind::Process; }
  Result<void> probe() const override { return {}; }

  isolate::NetworkMode default_network() const override { return isolate::NetworkMode::Host; }

  Result<void> check(const UnitConfig& config) const override {
    if (config.network != isolate::NetworkMode::Host)
      return refuse("--network", "always has the host's network: use host");
    if (!config.hostname.empty()) return refuse("--hostname", "has the host's name");
    if (!config.cap_add.empty()) return refuse("--cap-add", "keeps the capabilities of its user");
    if (!config.cap_drop.empty()) return refuse("--cap-drop", "keeps the capabilities of its user");
    if (config.privileged) return refuse("--privileged", "is not confined in the first place");
    if (config.userns) return refuse("--userns", "has the host's users");
    if (!config.devices.empty()) return refuse("--device", "sees the host's devices");
    if (!config.sysctls.empty()) return refuse("--sysctl", "has the host's kernel settings");
    if (config.seccomp != "default") return refuse("--security-opt seccomp", "has no system call filter");
    if (config.init) return refuse("--init", "is looked after by the host's init");
    if (config.rootfs.empty() && !config.volumes.empty())
      return refuse("--volume", "without image sees the host's files");
    if (config.rootfs.empty() && config.rootfs.read_only)
      return refuse("--read-only", "without image sees the host's files");
    return {};
  }

  std::vector<std::string> isolates(const UnitConfig& config) const override {
    std::vector<std::string> list = {
        "resources: its own control group with limits, statistics and a clean end",
        "user: the one asked for, with its rlimits"};
    if (!config.rootfs.empty())
      list.emplace_back(
          "files: another root directory (the image); nothing stops a root user from leaving it");
    return list;
  }

  std::vector<std::string> shares(const UnitConfig& config) const override {
    std::vector<std::string> list = {"processes: it sees all of the host's, and may signal those of its user",
                                     "network, hostname, users, IPC, /proc, /sys and /dev: the host's",
                                     "privileges: run as root it may do what root may", "the kernel"};
    if (config.rootfs.empty()) list.emplace_back("files: the host's");
    return list;
  }

 protected:
  const isolate::IsolatorTable& isolators() const override {
    using namespace isolate;
    static const IsolatorTable table = {
        &cgroup_isolator(),
        &join_isolator(),
        &rootfs_isolator(),
        &user_isolator(),
        &host_system_mounts_isolator(),
        &leave_host_isolator(),
        &etc_files_isolator(),
        &volumes_isolator(),
        &session_isolator(),
        &read_only_root_isolator(),
        &rlimits_isolator(),
        &change_user_isolator(),
        &no_new_privileges_isolator(),
    };
    return table;
  }
};

}  // namespace

Unit& process_unit() {
  static Process unit;
  return unit;
}

}  // namespace berth::unit
