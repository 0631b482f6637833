// Copies of the host's mounts. Who may mount makes them ahead; an ordinary user may only as root of the
// container's own user namespace: there the child makes them, before it leaves the host's root directory.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "isolate/launch_plan.hpp"
#include "isolate/mount_options.hpp"
#include "sys/mount_target.hpp"

namespace berth::isolate {

// One call of mount_setattr(2).
struct MountChange {
  bool recursive = false;
  AttributeChange attributes;
  std::uint64_t propagation = 0;  // MS_*, or 0
};

struct HostMount {
  std::string path;
  bool recursive = false;  // with the mounts below
  bool nofollow = false;   // a symlink at the end is copied as such
  bool plain = false;      // a symlink on the way is an error (ELOOP)
  IdShift shift = IdShift::None;
  sys::Fd users = {};  // a user namespace, for the shift
  std::vector<MountChange> changes = {};
};

// The copy, there by the time that the child attaches it. `field` begins the messages.
using MountSlot = std::shared_ptr<sys::Fd>;
Result<MountSlot> copy_host_mount(LaunchPlan& plan, HostMount wanted, const std::string& field);

// Attaches the copy to `target` (made if missing), as mount_prepared() does.
void attach_copy(LaunchPlan& plan, MountSlot copy, const std::string& target, sys::TargetKind kind);

}  // namespace berth::isolate
