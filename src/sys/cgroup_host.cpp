// What control groups this machine offers: CgroupHost, declared in sys/cgroup.hpp.
// Sources: cgroups(7), proc_pid_mountinfo(5), the kernel's admin-guide/cgroup-v1 and cgroup-v2.
#include <fmt/core.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <map>

#include "base/text.hpp"
#include "sys/cgroup.hpp"
#include "sys/fd.hpp"
#include "sys/paths.hpp"

namespace berth::sys {
namespace {

using Hierarchy = CgroupHost::Hierarchy;

// The controllers that berth has a use for; options such as "rw" or "name=systemd" stand among them in
// mountinfo.
constexpr std::array<std::string_view, 12> kUsed = {"cpu",     "cpuacct",  "cpuset", "memory",
                                                    "devices", "freezer",  "pids",   "hugetlb",
                                                    "net_cls", "net_prio", "rdma",   "misc"};
constexpr std::string_view kBlkio = "blkio";  // v2 calls it "io"

bool is_used(std::string_view controller) {
  return controller == kBlkio || std::find(kUsed.begin(), kUsed.end(), controller) != kUsed.end();
}

// A hierarchy without controllers, such as the one by which systemd tracks its services.
bool is_name(std::string_view controller) { return controller.starts_with("name="); }

// mountinfo writes space, tab, newline and backslash as \ooo.
std::string unescape(std::string_view field) {
  std::string plain;
  for (std::size_t i = 0; i < field.size(); ++i) {
    const auto octal = field[i] == '\\' ? parse_u64(field.substr(i + 1, 3), 8) : std::nullopt;
    plain.push_back(octal ? static_cast<char>(*octal) : field[i]);
    if (octal) i += 3;
  }
  return plain;
}

struct MountLine {
  std::string root;
  std::string mount_point;
  std::string type;
  bool read_only;
  std::vector<std::string> options;  // of the super block
};

std::optional<MountLine> parse_mount_line(const std::string& line) {
  const std::vector<std::string> fields = split(line, ' ');
  const auto dash = std::find(fields.begin(), fields.end(), "-");
  if (fields.size() < 10 || fields.end() - dash < 4) return std::nullopt;
  const bool read_only = fields[5] == "ro" || fields[5].starts_with("ro,");
  return MountLine{unescape(fields[3]), unescape(fields[4]), dash[1], read_only, split(dash[3], ',')};
}

// This process's group by controller; "" is the key of v2's.
std::map<std::string, std::string> parse_own_groups(const std::string& text) {
  std::map<std::string, std::string> own;
  for (const std::string& line : split(text, '\n')) {
    const std::size_t first = line.find(':');
    const std::size_t second = first == std::string::npos ? first : line.find(':', first + 1);
    if (second == std::string::npos) continue;
    const std::string path = line.substr(second + 1);
    const std::string names = line.substr(first + 1, second - first - 1);
    if (names.empty()) own[""] = path;
    for (const std::string& name : split(names, ',')) own[name] = path;
  }
  return own;
}

// Where `group` of a hierarchy shows below a mount of its `root`; the mount point where it does not.
std::string directory_of(const std::string& mount_point, const std::string& root, const std::string& group) {
  const std::string prefix = root == "/" ? "" : root;
  if (!group.starts_with(prefix + "/") || group.size() == prefix.size() + 1) return mount_point;
  return mount_point + group.substr(prefix.size());
}

bool can_make_groups(const std::string& directory) {
  return ::access(directory.c_str(), W_OK) == 0 && ::access((directory + "/cgroup.procs").c_str(), W_OK) == 0;
}

// The mount's top where it is ours to write, as it is for the machine's root; else the highest group above
// our own that was delegated to us (systemd hands user@UID.service to its user that way). "" where there is
// none.
std::string find_base(const MountLine& mount, const std::string& own_path) {
  static const bool is_root = !is_ordinary_user();
  const bool is_ours = is_root ? !mount.read_only : can_make_groups(mount.mount_point);
  if (is_ours) return mount.mount_point;
  std::string best;
  for (std::string at = directory_of(mount.mount_point, mount.root, own_path);
       at.size() > mount.mount_point.size(); at.resize(at.rfind('/'))) {
    if (!can_make_groups(at)) {
      if (!best.empty()) break;
      continue;
    }
    best = at;
  }
  return best;
}

void add_v1(CgroupHost& host, const MountLine& mount, const std::map<std::string, std::string>& own) {
  Hierarchy hierarchy;
  for (const std::string& option : mount.options) {
    if (is_used(option) || is_name(option)) hierarchy.controllers.push_back(option);
  }
  if (hierarchy.controllers.empty()) return;
  const std::string& first = hierarchy.controllers.front();
  const bool known = std::any_of(host.v1.begin(), host.v1.end(),
                                 [&](const Hierarchy& other) { return other.controllers.front() == first; });
  if (known) return;  // mounted twice: the first will do
  hierarchy.mount_point = mount.mount_point;
  hierarchy.root = mount.root;
  const auto found = own.find(first);
  hierarchy.own_path = found == own.end() ? "/" : found->second;
  hierarchy.base = find_base(mount, hierarchy.own_path);
  host.v1.push_back(std::move(hierarchy));
}

// What systemd hands to an ordinary user who is logged in (user@.service(5)); "" where there is none.
std::string users_systemd(const std::string& mount_point) {
  const std::string directory =
      fmt::format("{}/user.slice/user-{}.slice/user@{}.service", mount_point, ::getuid(), ::getuid());
  return ::getuid() != 0 && can_make_groups(directory) ? directory : "";
}

void add_v2(CgroupHost& host, const MountLine& mount, const std::map<std::string, std::string>& own) {
  if (!host.v2_mount.empty()) return;
  host.v2_mount = mount.mount_point;
  const auto found = own.find("");
  host.v2_base = find_base(mount, found == own.end() ? "/" : found->second);
  if (host.v2_base.empty()) {
    host.v2_base = users_systemd(mount.mount_point);
    host.lent = !host.v2_base.empty();
  }
  const std::string& readable = host.v2_base.empty() ? host.v2_mount : host.v2_base;
  if (const auto list = read_file(readable + "/cgroup.controllers")) {
    host.v2_controllers = split(trim(*list), ' ');
  }
}

CgroupMode mode_of(const CgroupHost& host) {
  if (host.v1.empty()) return host.v2_mount.empty() ? CgroupMode::None : CgroupMode::V2;
  return host.v2_mount.empty() ? CgroupMode::V1 : CgroupMode::Hybrid;
}

bool is_writable(const CgroupHost& host) {
  if (host.mode == CgroupMode::V2) return !host.v2_base.empty();
  return !host.v1.empty() && std::all_of(host.v1.begin(), host.v1.end(), [](const Hierarchy& hierarchy) {
    return !hierarchy.base.empty() || is_name(hierarchy.controllers.front());
  });
}

bool has_v1(const CgroupHost& host, std::string_view controller) {
  return std::any_of(host.v1.begin(), host.v1.end(), [&](const Hierarchy& hierarchy) {
    const auto& names = hierarchy.controllers;
    return std::find(names.begin(), names.end(), controller) != names.end();
  });
}

}  // namespace

Result<CgroupHost> CgroupHost::probe() {
  CgroupHost host;
  const std::string mounts = TRY(read_file("/proc/self/mountinfo"));
  auto groups = read_file("/proc/self/cgroup");
  if (!groups && groups.error().code == Code::NotFound) return host;  // a kernel without control groups
  const auto own = parse_own_groups(TRY(std::move(groups)));
  for (const std::string& line : split(mounts, '\n')) {
    const auto mount = parse_mount_line(line);
    if (mount && mount->type == "cgroup") add_v1(host, *mount, own);
    if (mount && mount->type == "cgroup2") add_v2(host, *mount, own);
  }
  host.mode = mode_of(host);
  host.writable = is_writable(host);
  return host;
}

std::string CgroupHost::why_none() const {
  if (mode == CgroupMode::None) return "no control groups are mounted on this machine";
  if (writable && !lent) return "";
  return fmt::format(
      "this user (uid {}) may not make control groups here: run as root, or in a delegated cgroup v2 "
      "group (systemd-run --user --scope -p Delegate=yes)",
      ::getuid());
}

std::string CgroupHost::why_not(std::string_view controller) const {
  if (mode == CgroupMode::None || !writable) return why_none();
  if (mode == CgroupMode::V2) {
    if (controller == "freezer" || controller == "devices") return "";  // v2's core and eBPF
    if (std::find(v2_controllers.begin(), v2_controllers.end(), controller) != v2_controllers.end())
      return "";
    return fmt::format("the {} controller is not available in {} (see its cgroup.controllers)", controller,
                       v2_base);
  }
  const std::string_view name = controller == "io" ? kBlkio : controller;
  if (has_v1(*this, name)) return "";
  return fmt::format("no cgroup v1 hierarchy with the {} controller is mounted on this machine", name);
}

}  // namespace berth::sys
