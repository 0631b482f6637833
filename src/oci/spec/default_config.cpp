#include "oci/spec/default_config.hpp"

#include <string_view>

#include "base/json_value.hpp"
#include "oci/spec/spec.hpp"

namespace berth::oci {
namespace {

constexpr std::string_view kConfig = R"({
  "process": {
    "terminal": true,
    "user": {"uid": 0, "gid": 0},
    "args": ["sh"],
    "env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "TERM=xterm"],
    "cwd": "/",
    "capabilities": {
      "bounding": ["CAP_AUDIT_WRITE", "CAP_KILL", "CAP_NET_BIND_SERVICE"],
      "effective": ["CAP_AUDIT_WRITE", "CAP_KILL", "CAP_NET_BIND_SERVICE"],
      "permitted": ["CAP_AUDIT_WRITE", "CAP_KILL", "CAP_NET_BIND_SERVICE"]
    },
    "noNewPrivileges": true
  },
  "root": {"path": "rootfs", "readonly": true},
  "hostname": "berth",
  "mounts": [
    {"destination": "/proc", "type": "proc", "source": "proc"},
    {"destination": "/dev", "type": "tmpfs", "source": "tmpfs",
     "options": ["nosuid", "strictatime", "mode=755", "size=65536k"]},
    {"destination": "/dev/pts", "type": "devpts", "source": "devpts",
     "options": ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"]},
    {"destination": "/dev/shm", "type": "tmpfs", "source": "shm",
     "options": ["nosuid", "noexec", "nodev", "mode=1777", "size=65536k"]},
    {"destination": "/dev/mqueue", "type": "mqueue", "source": "mqueue",
     "options": ["nosuid", "noexec", "nodev"]},
    {"destination": "/sys", "type": "sysfs", "source": "sysfs",
     "options": ["nosuid", "noexec", "nodev", "ro"]},
    {"destination": "/sys/fs/cgroup", "type": "cgroup", "source": "cgroup",
     "options": ["nosuid", "noexec", "nodev", "relatime", "ro"]}
  ],
  "linux": {
    "resources": {"devices": [{"allow": false, "access": "rwm"}]},
    "namespaces": [
      {"type": "pid"}, {"type": "network"}, {"type": "ipc"}, {"type": "uts"}, {"type": "mount"},
      {"type": "cgroup"}
    ],
    "maskedPaths": [
      "/proc/acpi", "/proc/asound", "/proc/kcore", "/proc/keys", "/proc/latency_stats", "/proc/timer_list",
      "/proc/timer_stats", "/proc/sched_debug", "/sys/firmware", "/proc/scsi"
    ],
    "readonlyPaths": ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"]
  }
})";

// A user without others' ids cannot give files to them.
bool names_an_owner(const Json& option) {
  const auto& word = option.get_ref<const std::string&>();
  return word.starts_with("uid=") || word.starts_with("gid=");
}

Json mounts_of_an_ordinary_user(const Json& all) {
  Json mounts = Json::array();
  for (Json mount : all) {
    if (mount["destination"].get_ref<const std::string&>().starts_with("/sys")) continue;
    Json options = Json::array();
    for (const Json& option : mount.value("options", Json::array())) {
      if (!names_an_owner(option)) options.push_back(option);
    }
    if (!options.empty()) mount["options"] = std::move(options);
    mounts.push_back(std::move(mount));
  }
  // A new sysfs shows the network namespace: only who owns that one may mount it.
  mounts.push_back({{"destination", "/sys"},
                    {"type", "none"},
                    {"source", "/sys"},
                    {"options", {"rbind", "nosuid", "noexec", "nodev", "ro"}}});
  return mounts;
}

void fit_to(const OrdinaryUser& user, Json& config) {
  const auto mapping = [](std::uint32_t id) {
    return Json::array({{{"containerID", 0}, {"hostID", id}, {"size", 1}}});
  };
  Json& platform = config["linux"];
  platform.erase("resources");
  platform["uidMappings"] = mapping(user.uid);
  platform["gidMappings"] = mapping(user.gid);
  Json namespaces = Json::array();
  for (const Json& entry : platform["namespaces"]) {
    if (entry["type"] != "network") namespaces.push_back(entry);
  }
  namespaces.push_back({{"type", "user"}});
  platform["namespaces"] = std::move(namespaces);
  config["mounts"] = mounts_of_an_ordinary_user(config["mounts"]);
}

}  // namespace

std::string default_config(const std::optional<OrdinaryUser>& user) {
  auto config = parse_json(kConfig, "the default configuration");
  BERTH_ASSERT(config);
  (*config)["ociVersion"] = kMaxVersion;
  if (user) fit_to(*user, *config);
  return config->dump(2) + "\n";
}

}  // namespace berth::oci
