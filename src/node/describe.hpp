// Instances in words, for ps and inspect.
#pragma once

#include <string>

#include "base/json.hpp"
#include "node/instance.hpp"
#include "node/paths.hpp"

namespace berth::node {

std::string ago(std::int64_t when_ns);              // "5 minutes ago"
std::string status_text(const Instance& instance);  // "Up 5 minutes", "Exited (1) 3 hours ago"
// All that is known, with what its unit does and does not isolate.
Json describe(const Paths& paths, const Instance& instance);

}  // namespace berth::node
