#include "isolate/config.hpp"

#include <fmt/core.h>

#include <algorithm>

#include "base/json_value.hpp"

namespace berth::isolate {
namespace {

constexpr std::array<std::string_view, 4> kUnitNames = {"process", "container", "vm", "machine"};
constexpr std::array<std::string_view, 4> kRestartNames = {"no", "on-failure", "always", "unless-stopped"};
constexpr std::array<std::string_view, 4> kNetworkNames = {"none", "host", "user", "tap"};

template <typename Enum, std::size_t N>
std::string_view name_of(const std::array<std::string_view, N>& names, Enum value) {
  return names.at(static_cast<std::size_t>(value));
}

template <typename Enum, std::size_t N>
Result<Enum> value_of(const std::array<std::string_view, N>& names, const JsonView& view,
                      std::string_view key) {
  const std::string name = TRY(view.string(key));
  const auto found = std::find(names.begin(), names.end(), name);
  if (found == names.end()) return view.bad(fmt::format("{}: unknown value \"{}\"", key, name));
  return static_cast<Enum>(found - names.begin());
}

Json volumes_json(const std::vector<VolumeMount>& volumes) {
  Json list = Json::array();
  for (const VolumeMount& v : volumes) {
    list.push_back({{"source", v.source},
                    {"destination", v.destination},
                    {"readOnly", v.read_only},
                    {"tmpfs", v.tmpfs},
                    {"tmpfsSize", v.tmpfs_size_bytes}});
  }
  return list;
}

Result<std::vector<VolumeMount>> read_volumes(const JsonView& view) {
  std::vector<VolumeMount> volumes;
  for (const JsonView& item : TRY(view.array_or_empty("volumes"))) {
    VolumeMount volume;
    volume.source = TRY(item.string("source"));
    volume.destination = TRY(item.string("destination"));
    volume.read_only = TRY(item.bool_or("readOnly", false));
    volume.tmpfs = TRY(item.bool_or("tmpfs", false));
    volume.tmpfs_size_bytes = TRY(item.uint("tmpfsSize"));
    volumes.push_back(std::move(volume));
  }
  return volumes;
}

Json devices_json(const std::vector<DeviceMapping>& devices) {
  Json list = Json::array();
  for (const DeviceMapping& d : devices) {
    list.push_back({{"hostPath", d.host_path}, {"unitPath", d.unit_path}, {"access", d.access}});
  }
  return list;
}

Result<std::vector<DeviceMapping>> read_devices(const JsonView& view) {
  std::vector<DeviceMapping> devices;
  for (const JsonView& item : TRY(view.array_or_empty("devices"))) {
    devices.push_back(
        {TRY(item.string("hostPath")), TRY(item.string("unitPath")), TRY(item.string("access"))});
  }
  return devices;
}

Json rlimits_json(const std::vector<Rlimit>& rlimits) {
  Json list = Json::array();
  for (const Rlimit& r : rlimits) list.push_back({{"name", r.name}, {"soft", r.soft}, {"hard", r.hard}});
  return list;
}

Result<std::vector<Rlimit>> read_rlimits(const JsonView& view) {
  std::vector<Rlimit> rlimits;
  for (const JsonView& item : TRY(view.array_or_empty("rlimits"))) {
    rlimits.push_back({TRY(item.string("name")), TRY(item.uint("soft")), TRY(item.uint("hard"))});
  }
  return rlimits;
}

Result<std::map<std::string, std::string>> read_map(const JsonView& view, std::string_view key) {
  std::map<std::string, std::string> map;
  const auto member = TRY(view.find(key));
  if (!member) return map;
  for (const auto& [name, value] : TRY(member->as_object())) map.emplace(name, TRY(value.as_string()));
  return map;
}

Result<void> read_interface(const JsonView& view, UnitConfig& config) {
  const auto member = TRY(view.find("interface"));
  if (!member) return {};
  GuestInterface interface;
  interface.tap = TRY(member->string_or("tap", ""));
  interface.address = TRY(member->string("address"));
  interface.gateway = TRY(member->string_or("gateway", ""));
  interface.dns = TRY(member->strings_or_empty("dns"));
  config.interface = std::move(interface);
  return {};
}

Result<void> read_workload(const JsonView& view, UnitConfig& config) {
  const JsonView rootfs = TRY(view.at("rootfs"));
  config.rootfs.layers = TRY(rootfs.strings_or_empty("layers"));
  config.rootfs.directory = TRY(rootfs.string_or("directory", ""));
  config.rootfs.read_only = TRY(rootfs.bool_or("readOnly", false));
  config.rootfs.user_xattrs = TRY(rootfs.bool_or("userXattrs", false));
  config.args = TRY(view.strings_or_empty("args"));
  if (config.args.empty()) return view.bad("args: must not be empty");
  config.env = TRY(view.strings_or_empty("env"));
  config.cwd = TRY(view.string_or("cwd", "/"));
  config.user = TRY(view.string_or("user", ""));
  config.hostname = TRY(view.string_or("hostname", ""));
  config.tty = TRY(view.bool_or("tty", false));
  config.stdin_open = TRY(view.bool_or("stdinOpen", false));
  config.init = TRY(view.bool_or("init", false));
  config.network = TRY(value_of<NetworkMode>(kNetworkNames, view, "network"));
  TRY(read_interface(view, config));
  config.volumes = TRY(read_volumes(view));
  config.devices = TRY(read_devices(view));
  config.rlimits = TRY(read_rlimits(view));
  config.sysctls = TRY(read_map(view, "sysctls"));
  config.resources = TRY(sys::Resources::from_json(TRY(view.at("resources"))));
  return {};
}

Result<void> read_security(const JsonView& view, UnitConfig& config) {
  config.cap_add = TRY(view.strings_or_empty("capAdd"));
  config.cap_drop = TRY(view.strings_or_empty("capDrop"));
  config.privileged = TRY(view.bool_or("privileged", false));
  config.no_new_privileges = TRY(view.bool_or("noNewPrivileges", true));
  config.seccomp = TRY(view.string_or("seccomp", "default"));
  if (const auto userns = TRY(view.find("userns"))) {
    UserMapping mapping;
    mapping.host_start = static_cast<std::uint32_t>(TRY(userns->uint("hostStart")));
    mapping.count = static_cast<std::uint32_t>(TRY(userns->uint("count")));
    config.userns = mapping;
  }
  return {};
}

Result<void> read_lifecycle(const JsonView& view, UnitConfig& config) {
  const JsonView restart = TRY(view.at("restart"));
  config.restart.mode = TRY(value_of<RestartMode>(kRestartNames, restart, "mode"));
  config.restart.max_retries = static_cast<unsigned>(TRY(restart.uint("maxRetries")));
  config.stop_signal = static_cast<int>(TRY(view.int_or("stopSignal", 15)));
  config.stop_timeout = std::chrono::milliseconds(TRY(view.int_or("stopTimeoutMs", 10000)));
  config.remove_on_exit = TRY(view.bool_or("removeOnExit", false));
  config.labels = TRY(read_map(view, "labels"));
  config.created_ns = TRY(view.int_or("createdNs", 0));
  return {};
}

}  // namespace

std::string_view unit_name(UnitKind kind) { return name_of(kUnitNames, kind); }

Result<UnitKind> parse_unit(std::string_view name) {
  const auto found = std::find(kUnitNames.begin(), kUnitNames.end(), name);
  if (found != kUnitNames.end()) return static_cast<UnitKind>(found - kUnitNames.begin());
  return fail(Code::InvalidArgument, fmt::format("unit \"{}\": use process, container, vm or machine", name));
}

Json UnitConfig::to_json() const {
  Json json = {
      {"id", id},
      {"name", name},
      {"unit", unit_name(unit)},
      {"image", image},
      {"imageId", image_id},
      {"rootfs",
       {{"layers", rootfs.layers},
        {"directory", rootfs.directory},
        {"readOnly", rootfs.read_only},
        {"userXattrs", rootfs.user_xattrs}}},
      {"args", args},
      {"env", env},
      {"cwd", cwd},
      {"user", user},
      {"hostname", hostname},
      {"tty", tty},
      {"stdinOpen", stdin_open},
      {"init", init},
      {"network", name_of(kNetworkNames, network)},
      {"volumes", volumes_json(volumes)},
      {"devices", devices_json(devices)},
      {"rlimits", rlimits_json(rlimits)},
      {"sysctls", sysctls},
      {"resources", resources.to_json()},
      {"capAdd", cap_add},
      {"capDrop", cap_drop},
      {"privileged", privileged},
      {"noNewPrivileges", no_new_privileges},
      {"seccomp", seccomp},
      {"restart", {{"mode", name_of(kRestartNames, restart.mode)}, {"maxRetries", restart.max_retries}}},
      {"stopSignal", stop_signal},
      {"stopTimeoutMs", stop_timeout.count()},
      {"removeOnExit", remove_on_exit},
      {"labels", labels},
      {"createdNs", created_ns}};
  if (userns) json["userns"] = {{"hostStart", userns->host_start}, {"count", userns->count}};
  if (interface)
    json["interface"] = {{"tap", interface->tap},
                         {"address", interface->address},
                         {"gateway", interface->gateway},
                         {"dns", interface->dns}};
  return json;
}

Result<UnitConfig> UnitConfig::from_json(const JsonView& view) {
  UnitConfig config;
  config.id = TRY(view.string("id"));
  config.name = TRY(view.string("name"));
  config.unit = TRY(value_of<UnitKind>(kUnitNames, view, "unit"));
  config.image = TRY(view.string_or("image", ""));
  config.image_id = TRY(view.string_or("imageId", ""));
  TRY(read_workload(view, config));
  TRY(read_security(view, config));
  TRY(read_lifecycle(view, config));
  return config;
}

}  // namespace berth::isolate
