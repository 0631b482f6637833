// A bundle's config.json, typed (OCI runtime specification 1.2).
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "isolate/mount_request.hpp"
#include "oci/spec/annotations.hpp"
#include "oci/spec/hooks.hpp"
#include "oci/spec/linux.hpp"
#include "oci/spec/process.hpp"

namespace berth::oci {

struct Spec {
  std::string oci_version;
  Process process;
  std::string root;  // as written: absolute, or relative to the bundle
  bool root_read_only = false;
  std::string hostname;
  std::string domainname;
  std::vector<isolate::MountRequest> mounts;
  Hooks hooks;
  std::map<std::string, std::string> annotations;
  Wishes wishes;  // what of the annotations is meant for the runtime
  Linux platform;

  // `text` is the document. Errors name the field ("config.mounts[2].type").
  static Result<Spec> parse(std::string_view text);
};

inline constexpr std::size_t kMaxConfigBytes = 16 << 20;

// The specification's versions that are understood.
inline constexpr const char* kMinVersion = "1.0.0";
inline constexpr const char* kMaxVersion = "1.2.1";

}  // namespace berth::oci
