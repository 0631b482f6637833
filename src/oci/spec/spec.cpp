#include "oci/spec/spec.hpp"

#include <fmt/core.h>
#include <sched.h>

#include <algorithm>

#include "base/json_value.hpp"
#include "base/text.hpp"

namespace berth::oci {
namespace {

Result<void> check_version(const JsonView& view) {
  const std::string version = TRY(view.string("ociVersion"));
  const auto parts = split(version, '.');
  if (parts.size() >= 3 && parts[0] == "1" && parse_u64(parts[1])) return {};
  return view.bad(fmt::format("ociVersion: \"{}\" is not a version that berth understands ({} to {})",
                              version, kMinVersion, kMaxVersion));
}

Result<isolate::MountRequest> read_mount(const JsonView& view, std::size_t index) {
  isolate::MountRequest mount;
  mount.field = fmt::format("mounts[{}]", index);
  mount.destination = TRY(view.string("destination"));
  if (mount.destination.empty()) return TRY(view.at("destination")).bad("is empty");
  // Relative ones are meant from "/" (config.md: "SHOULD be absolute").
  if (!mount.destination.starts_with('/')) mount.destination.insert(0, 1, '/');
  mount.type = TRY(view.string_or("type", ""));
  mount.source = TRY(view.string_or("source", ""));
  if (const auto options = TRY(view.find("options")))
    mount.options = TRY(isolate::parse_mount_options(*options));
  mount.users = TRY(read_id_mappings(view, "uidMappings"));
  mount.groups = TRY(read_id_mappings(view, "gidMappings"));
  return mount;
}

Result<std::map<std::string, std::string>> read_annotations(const JsonView& view) {
  std::map<std::string, std::string> annotations;
  const auto section = TRY(view.find("annotations"));
  if (!section) return annotations;
  for (const auto& [key, value] : TRY(section->as_object())) {
    if (key.empty()) return section->bad("an empty key");
    annotations.emplace(key, TRY(value.as_string()));
  }
  return annotations;
}

Result<void> check_names(const JsonView& view, const Spec& spec) {
  const bool own = spec.platform.namespaces.find(CLONE_NEWUTS) != nullptr;
  if (!spec.hostname.empty() && !own)
    return view.bad("hostname: without a uts namespace in platform.namespaces");
  if (!spec.domainname.empty() && !own)
    return view.bad("domainname: without a uts namespace in platform.namespaces");
  return {};
}

}  // namespace

Result<Spec> Spec::parse(std::string_view text) {
  const Json json = TRY(parse_json(text, "config.json"));
  const JsonView view(json, "config");
  TRY(check_version(view));
  Spec spec;
  spec.oci_version = TRY(view.string("ociVersion"));
  spec.process = TRY(Process::from_json(TRY(view.at("process"))));
  const JsonView root = TRY(view.at("root"));
  spec.root = TRY(root.string("path"));
  spec.root_read_only = TRY(root.bool_or("readonly", false));
  spec.hostname = TRY(view.string_or("hostname", ""));
  spec.domainname = TRY(view.string_or("domainname", ""));
  const auto mounts = TRY(view.array_or_empty("mounts"));
  for (std::size_t i = 0; i < mounts.size(); ++i) spec.mounts.push_back(TRY(read_mount(mounts[i], i)));
  if (const auto hooks = TRY(view.find("hooks"))) spec.hooks = TRY(Hooks::from_json(*hooks));
  spec.annotations = TRY(read_annotations(view));
  spec.wishes = TRY(read_wishes(spec.annotations));
  if (const auto section = TRY(view.find("linux"))) spec.platform = TRY(Linux::from_json(*section));
  TRY(check_names(view, spec));
  return spec;
}

}  // namespace berth::oci
