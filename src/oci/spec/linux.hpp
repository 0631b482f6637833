// config.json's `linux` (runtime-spec, config-linux.md), without namespaces.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/json.hpp"
#include "base/result.hpp"
#include "isolate/mount_options.hpp"
#include "isolate/runtime_resources.hpp"
#include "oci/spec/namespaces.hpp"
#include "sys/process_attributes.hpp"
#include "sys/seccomp.hpp"

namespace berth::oci {

struct Device {
  std::string path;
  char type = 'c';  // c, b or p
  std::uint32_t major = 0;
  std::uint32_t minor = 0;
  mode_t mode = 0666;
  uid_t uid = 0;
  gid_t gid = 0;
};

struct Linux {
  Namespaces namespaces;
  std::vector<Device> devices;
  std::string cgroups_path;
  isolate::RuntimeResources resources;
  std::optional<sys::Personality> personality;
  std::map<std::string, std::string> sysctls;
  std::optional<isolate::PropagationChange> root_propagation;
  std::vector<std::string> masked_paths;
  std::vector<std::string> read_only_paths;
  std::string mount_label;  // SELinux's, of the file systems that are mounted
  std::optional<sys::SeccompProfile> seccomp;

  static Result<Linux> from_json(const JsonView& view);
};

}  // namespace berth::oci
