#include "oci/spec/namespaces.hpp"

#include <fmt/core.h>
#include <linux/sched.h>

#include <algorithm>

#include "isolate/process_attributes.hpp"

namespace berth::oci {
namespace {

constexpr std::size_t kMaxMappings = 340;  // user_namespaces(7)

Result<Namespace> read_namespace(const JsonView& view) {
  const std::string type = TRY(view.string("type"));
  const auto& kinds = namespace_kinds();
  const auto kind = std::find_if(kinds.begin(), kinds.end(), [&](const auto& k) { return k.name == type; });
  if (kind == kinds.end())
    return view.bad(fmt::format("type: \"{}\" is not a namespace of this kernel", type));
  Namespace result;
  result.kind = kind->flag;
  result.path = TRY(view.string_or("path", ""));
  if (!result.path.empty() && !result.path.starts_with('/')) return view.bad("path: not an absolute path");
  return result;
}

Result<void> check(const JsonView& view, const Namespaces& namespaces) {
  const bool mapped = !namespaces.uid_mappings.empty() || !namespaces.gid_mappings.empty();
  const Namespace* user = namespaces.find(CLONE_NEWUSER);
  if (mapped && user == nullptr) return view.bad("uidMappings: without a user namespace in namespaces");
  if (mapped && !user->path.empty())
    return view.bad("uidMappings: the user namespace has a path, and so its own");
  if (user != nullptr && user->path.empty() &&
      (namespaces.uid_mappings.empty() || namespaces.gid_mappings.empty()))
    return view.bad("namespaces: a new user namespace needs uidMappings and gidMappings");
  if (!namespaces.time_offsets.empty() && !namespaces.is_new(CLONE_NEWTIME))
    return view.bad("timeOffsets: without a new time namespace in namespaces");
  return {};
}

}  // namespace

const std::vector<NamespaceKind>& namespace_kinds() {
  static const std::vector<NamespaceKind> kinds = {{"cgroup", CLONE_NEWCGROUP}, {"ipc", CLONE_NEWIPC},
                                                   {"mount", CLONE_NEWNS},      {"network", CLONE_NEWNET},
                                                   {"pid", CLONE_NEWPID},       {"time", CLONE_NEWTIME},
                                                   {"user", CLONE_NEWUSER},     {"uts", CLONE_NEWUTS}};
  return kinds;
}

Result<std::vector<isolate::IdMapping>> read_id_mappings(const JsonView& owner, std::string_view key) {
  std::vector<isolate::IdMapping> mappings;
  const auto items = TRY(owner.array_or_empty(key));
  if (items.size() > kMaxMappings)
    return owner.bad(fmt::format("{}: more than {} mappings", key, kMaxMappings));
  for (const JsonView& item : items) {
    const std::uint64_t inside = TRY(item.uint("containerID"));
    const std::uint64_t outside = TRY(item.uint("hostID"));
    const std::uint64_t size = TRY(item.uint("size"));
    if (size == 0 || size > UINT32_MAX || inside > UINT32_MAX - size || outside > UINT32_MAX - size)
      return item.bad("reaches past the greatest id, or maps none");
    mappings.push_back({static_cast<std::uint32_t>(inside), static_cast<std::uint32_t>(outside),
                        static_cast<std::uint32_t>(size)});
  }
  return mappings;
}

const Namespace* Namespaces::find(int kind) const {
  const auto found =
      std::find_if(list.begin(), list.end(), [&](const Namespace& n) { return n.kind == kind; });
  return found == list.end() ? nullptr : &*found;
}

bool Namespaces::is_new(int kind) const {
  const Namespace* found = find(kind);
  return found != nullptr && found->path.empty();
}

Result<Namespaces> Namespaces::from_json(const JsonView& view) {
  Namespaces namespaces;
  for (const JsonView& item : TRY(view.array_or_empty("namespaces"))) {
    Namespace entry = TRY(read_namespace(item));
    if (namespaces.find(entry.kind) != nullptr)
      return item.bad(fmt::format("type: \"{}\" is listed twice", TRY(item.string("type"))));
    namespaces.list.push_back(std::move(entry));
  }
  namespaces.uid_mappings = TRY(read_id_mappings(view, "uidMappings"));
  namespaces.gid_mappings = TRY(read_id_mappings(view, "gidMappings"));
  namespaces.time_offsets = TRY(isolate::parse_time_offsets(view));
  TRY(check(view, namespaces));
  return namespaces;
}

}  // namespace berth::oci
