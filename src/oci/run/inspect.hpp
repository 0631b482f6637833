// Commands that look at containers, and those that change a running one.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "base/result.hpp"

namespace berth::oci {

// The document of `state` (runtime-spec, runtime.md, "State", with the fields that runc adds).
Result<std::string> describe_state(const std::string& root, const std::string& id);

// `list`: as a table, a JSON array, or the names alone. Containers that vanish meanwhile are left out.
enum class ListFormat { Table, Json, Names };
Result<std::string> list_containers(const std::string& root, ListFormat format);

// The processes of a container, as the host numbers them.
Result<std::vector<pid_t>> container_pids(const std::string& root, const std::string& id);

Result<void> pause(const std::string& root, const std::string& id, bool paused);

}  // namespace berth::oci
