// Users and groups as the unit's own /etc/passwd and /etc/group name them.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.hpp"
#include "isolate/launch_plan.hpp"

namespace berth::isolate {

// Resolves "USER[:GROUP]" (names or numbers; "" is root) against the files below the directory `root`. A
// number without an entry is fine; a name without one is InvalidArgument. Files over 4 MiB and lines that
// make no sense are passed over, since the image may be hostile. Supplementary groups are those that list the
// user, unless GROUP was given.
Result<Credentials> resolve_user(int root, std::string_view spec);

// The same over the files' texts.
Result<Credentials> resolve_user_in(std::string_view passwd, std::string_view group, std::string_view spec);

// What a passwd file calls the user `uid`; the number where it does not.
std::string user_name(std::string_view passwd, std::uint64_t uid);

}  // namespace berth::isolate
