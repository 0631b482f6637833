// Which system calls a container may make: berth's default profile, and reading Docker's, Podman's and OCI's
// JSON.
#pragma once

#include <string_view>
#include <vector>

#include "base/json.hpp"
#include "base/result.hpp"
#include "sys/capability.hpp"
#include "sys/seccomp.hpp"

namespace berth::isolate {

// What the conditions of a profile are decided by.
struct SeccompContext {
  sys::CapabilityMask capabilities = 0;  // the unit's bounding set
  std::string_view architecture;         // as Docker's profiles name it: "amd64"
  unsigned kernel_major = 0;
  unsigned kernel_minor = 0;
  // This machine's architecture and kernel.
  static SeccompContext of_host(sys::CapabilityMask capabilities);
};

// Calls that a program without special privilege needs are allowed, those that a capability unlocks go with
// it, the rest fail with EPERM. The table is in seccomp_default.cpp.
sys::SeccompProfile default_seccomp_profile(sys::CapabilityMask capabilities);

// Reads linux.seccomp of an OCI configuration, and the profile files of Docker and Podman with their
// conditions (archMap, includes and excludes by caps, arches and minKernel). Errors name the field.
// SCMP_ACT_NOTIFY asks for listenerPath.
Result<sys::SeccompProfile> parse_seccomp_profile(const JsonView& view, const SeccompContext& context);

// The words that are understood, as the specification lists them (features.md, "seccomp").
struct SeccompWords {
  std::vector<std::string_view> actions;
  std::vector<std::string_view> operators;
  std::vector<std::string_view> flags;
  std::vector<std::string_view> supported_flags;  // by this kernel
};
SeccompWords seccomp_words();

// UnitConfig::seccomp: "default", or a profile's JSON text; nobody would answer SCMP_ACT_NOTIFY there, which
// is refused. "unconfined" is the caller's.
Result<sys::SeccompProfile> seccomp_profile_for(std::string_view setting, sys::CapabilityMask capabilities);

}  // namespace berth::isolate
