// Names and ids of instances.
#pragma once

#include <string>
#include <string_view>

#include "base/result.hpp"

namespace berth::node {

std::string new_id();         // 64 hex digits
std::string generate_name();  // "brave-otter"; may be taken
// [a-zA-Z0-9][a-zA-Z0-9_.-]*, 128 at most: safe as a path part.
Result<void> check_name(std::string_view name);

}  // namespace berth::node
