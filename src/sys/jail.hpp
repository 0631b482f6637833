// Shutting this process in before it deals with a hostile guest: what it has open is all it can reach.
#pragma once

#include <string>
#include <vector>

#include "base/result.hpp"

namespace berth::sys {

struct Jail {
  std::vector<std::string> devices;  // of the host that stay reachable by their paths, where they exist
};

// New mount, network, IPC, host name and control group namespaces; an empty, read-only root; as root of the
// host a user that nobody else is, elsewhere no capabilities; no new privileges, and hidden from other
// processes of its user. While the process has one thread; descriptors stay as they are.
Result<void> enter_jail(const Jail& jail);

}  // namespace berth::sys
