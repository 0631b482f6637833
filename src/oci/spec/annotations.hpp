// Annotations that change what the runtime does: those of crun and runc that clients set. All others are the
// client's own, and only handed on (runtime-spec, config.md, "Annotations").
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.hpp"

namespace berth::oci {

struct Wishes {
  // run.oci.keep_original_groups=1: the runtime's own supplementary groups stay.
  bool keep_groups = false;
  // run.oci.pidfd_receiver: the socket that is sent a descriptor of the first process.
  std::string pidfd_receiver;
  // run.oci.hooks.stdout and .stderr: files that hooks' output is appended to.
  std::string hooks_stdout;
  std::string hooks_stderr;
  // run.oci.systemd.subgroup: the group below the scope that the container lives in.
  std::string systemd_subgroup;
  // org.systemd.property.NAME: further properties of the scope, their values in GVariant's text form.
  std::vector<std::pair<std::string, std::string>> systemd_properties;
  // org.criu.config: a configuration file for CRIU.
  std::string criu_config;
  // run.oci.mount_context_type: how linux.mountLabel is given to file systems.
  std::string mount_context = "context";
};

// InvalidArgument names the annotation whose value makes no sense.
Result<Wishes> read_wishes(const std::map<std::string, std::string>& annotations);

// Whose values a client must not take from strangers (features.md, "potentiallyUnsafeConfigAnnotations"); one
// that ends in "." stands for all that begin with it.
const std::vector<std::string_view>& unsafe_annotations();

}  // namespace berth::oci
