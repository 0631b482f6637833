// The configuration that `spec` writes: a shell in a root file system of the bundle, confined as clients
// confine containers that nobody asked anything special of.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>

namespace berth::oci {

// Who makes a container without being root.
struct OrdinaryUser {
  uid_t uid = 0;
  gid_t gid = 0;
};

// config.json as text. For an ordinary user it asks for nothing that takes root: a user namespace in which
// that user is root, the host's network and /sys, and no limits.
std::string default_config(const std::optional<OrdinaryUser>& user);

}  // namespace berth::oci
