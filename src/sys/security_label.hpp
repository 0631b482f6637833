// Labels of the security modules AppArmor and SELinux, for the program that is executed next.
#pragma once

#include <cstddef>
#include <string_view>

#include "base/result.hpp"

namespace berth::sys {

enum class SecurityModule { AppArmor, SeLinux };

// FailedPrecondition, beginning with `field`, where this kernel does not have the module or has it switched
// off.
Result<void> require_security_module(SecurityModule module, std::string_view field);

// Between fork and exec: 0 or errno. `label` as the module's file takes it: "exec PROFILE" for AppArmor, the
// context for SELinux. Nothing but a procfs is written to (ENOSYS): what an image put in its place would let
// the program run unconfined (runc, CVE-2019-19921).
int set_exec_label(SecurityModule module, const char* label, std::size_t length) noexcept;

}  // namespace berth::sys
