// Steps that make the process the user it runs as, with that one's privileges.
#pragma once

#include <string>

#include "isolate/launch_plan.hpp"
#include "sys/capability.hpp"

namespace berth::isolate {

// Becomes plan.credentials, which must be set by then, with these capabilities.
void add_identity(LaunchPlan& plan, const sys::CapabilitySets& sets);

// Makes the working directory, with what is missing above it.
void make_working_directory(LaunchPlan& plan, const std::string& path);

// Changes to it. Links of /proc to descriptors are refused (ELOOP): they could lead out of the root
// (runc, CVE-2024-21626).
void enter_working_directory(LaunchPlan& plan, const std::string& path);

}  // namespace berth::isolate
