// Device nodes and the customary links of a unit's /dev.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "isolate/launch_plan.hpp"

namespace berth::isolate {

struct DeviceNode {
  std::string path;
  char type = 'c';  // c, b or p
  unsigned major = 0;
  unsigned minor = 0;
  mode_t mode = 0666;
  uid_t uid = 0;
  gid_t gid = 0;
};

// null, zero, full, random, urandom and tty (runtime-spec, config-linux.md, "Default Devices").
const std::vector<DeviceNode>& default_device_nodes();

// Makes the node where nothing is, or leaves it where it is already that device. Where `may_mknod` is false,
// as in a user namespace, the host's node is mounted instead.
Result<void> add_device_node(LaunchPlan& plan, const DeviceNode& node, bool may_mknod);

// /dev/fd, stdin, stdout, stderr, core, and ptmx, which replaces a node of the image.
void add_device_links(LaunchPlan& plan);

}  // namespace berth::isolate
