// linux.namespaces, the id mappings and time offsets (runtime-spec, config-linux.md).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/json.hpp"
#include "base/result.hpp"
#include "isolate/launch_plan.hpp"

namespace berth::oci {

struct Namespace {
  int kind = 0;      // CLONE_NEW*
  std::string path;  // of one that exists; "": a new one
};

struct Namespaces {
  std::vector<Namespace> list;  // each kind at most once
  std::vector<isolate::IdMapping> uid_mappings;
  std::vector<isolate::IdMapping> gid_mappings;
  std::string time_offsets;  // as /proc/PID/timens_offsets takes them

  // Null where the container shares the runtime's.
  const Namespace* find(int kind) const;
  bool is_new(int kind) const;

  // `view` is `linux`.
  static Result<Namespaces> from_json(const JsonView& view);
};

// "pid" and its CLONE_NEWPID, for each kind.
struct NamespaceKind {
  std::string_view name;
  int flag;
};
const std::vector<NamespaceKind>& namespace_kinds();

// uidMappings or gidMappings, also those of a mount.
Result<std::vector<isolate::IdMapping>> read_id_mappings(const JsonView& owner, std::string_view key);

}  // namespace berth::oci
