#include "oci/spec/linux.hpp"

#include <fmt/core.h>

#include <algorithm>

#include "isolate/process_attributes.hpp"
#include "isolate/seccomp_profile.hpp"
#include "oci/spec/process.hpp"
#include "sys/fd.hpp"
#include "sys/security_label.hpp"

namespace berth::oci {
namespace {

Result<std::uint32_t> read_number(const JsonView& view, std::string_view key) {
  const std::uint64_t number = TRY(view.uint(key));
  if (number > UINT32_MAX) return view.bad(fmt::format("{}: too large for a device", key));
  return static_cast<std::uint32_t>(number);
}

Result<Device> read_device(const JsonView& view) {
  Device device;
  device.path = TRY(view.string("path"));
  if (!device.path.starts_with('/')) return TRY(view.at("path")).bad("not an absolute path");
  const std::string type = TRY(view.string("type"));
  if (type != "c" && type != "u" && type != "b" && type != "p")
    return TRY(view.at("type")).bad("one of c, b, u and p");
  device.type = type == "u" ? 'c' : type.front();
  if (device.type != 'p') {
    device.major = TRY(read_number(view, "major"));
    device.minor = TRY(read_number(view, "minor"));
  }
  if (const auto mode = TRY(view.find("fileMode"))) {
    const std::uint64_t bits = TRY(mode->as_uint());
    device.mode = static_cast<mode_t>(bits & 07777);  // Go's clients leave the type's bits in
  }
  device.uid = TRY(read_id(view, "uid"));
  device.gid = TRY(read_id(view, "gid"));
  return device;
}

Result<std::vector<std::string>> read_paths(const JsonView& view, std::string_view key) {
  std::vector<std::string> paths;
  for (const JsonView& item : TRY(view.array_or_empty(key))) {
    paths.push_back(TRY(item.as_string()));
    if (!paths.back().starts_with('/')) return item.bad("not an absolute path");
  }
  return paths;
}

Result<std::map<std::string, std::string>> read_sysctls(const JsonView& view) {
  std::map<std::string, std::string> sysctls;
  const auto section = TRY(view.find("sysctl"));
  if (!section) return sysctls;
  for (const auto& [key, value] : TRY(section->as_object())) sysctls.emplace(key, TRY(value.as_string()));
  return sysctls;
}

Result<std::optional<isolate::PropagationChange>> read_propagation(const JsonView& view) {
  const std::string word = TRY(view.string_or("rootfsPropagation", ""));
  if (word.empty()) return std::optional<isolate::PropagationChange>{};
  auto change = isolate::parse_propagation(word);
  if (!change) return view.bad(fmt::format("rootfsPropagation: \"{}\" is not a propagation", word));
  return change;
}

// What this machine cannot give must not be passed over in silence.
Result<void> refuse_absent(const JsonView& view) {
  if (view.has("intelRdt") && !sys::exists("/sys/fs/resctrl/schemata")) {
    return view.bad(
        "intelRdt: no resctrl file system is mounted on this machine (mount -t resctrl resctrl "
        "/sys/fs/resctrl, with a processor that has RDT)");
  }
  if (view.has("intelRdt")) return view.bad("intelRdt: berth does not manage resctrl groups");
  return {};
}

}  // namespace

Result<Linux> Linux::from_json(const JsonView& view) {
  Linux section;
  TRY(refuse_absent(view));
  section.namespaces = TRY(Namespaces::from_json(view));
  for (const JsonView& item : TRY(view.array_or_empty("devices")))
    section.devices.push_back(TRY(read_device(item)));
  section.cgroups_path = TRY(view.string_or("cgroupsPath", ""));
  if (const auto resources = TRY(view.find("resources")))
    section.resources = TRY(isolate::parse_runtime_resources(*resources));
  section.sysctls = TRY(read_sysctls(view));
  section.root_propagation = TRY(read_propagation(view));
  section.masked_paths = TRY(read_paths(view, "maskedPaths"));
  section.read_only_paths = TRY(read_paths(view, "readonlyPaths"));
  if (const auto seccomp = TRY(view.find("seccomp")))
    section.seccomp = TRY(isolate::parse_seccomp_profile(*seccomp, isolate::SeccompContext::of_host(0)));
  section.personality = TRY(isolate::parse_personality(view));
  section.mount_label = TRY(view.string_or("mountLabel", ""));
  if (!section.mount_label.empty())
    TRY(sys::require_security_module(sys::SecurityModule::SeLinux, view.path() + ".mountLabel"));
  return section;
}

}  // namespace berth::oci
