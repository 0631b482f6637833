// Who this process's users are outside of its user namespace (user_namespaces(7)).
#pragma once

#include <cstdint>

namespace berth::sys {

// The effective user as the initial namespace numbers it.
std::uint64_t outer_uid();

// False in the initial user namespace, and in ones that map every user to itself.
bool in_user_namespace();

// False where only one user exists here, so that nothing can be given to another.
bool has_many_users();

}  // namespace berth::sys
