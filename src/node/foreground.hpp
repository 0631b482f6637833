// Staying with an instance in the foreground, also over the death of its monitor.
#pragma once

#include "node/attach.hpp"
#include "node/control.hpp"

namespace berth::node {

// Serves `socket` until the instance ends or the person detaches. Where the monitor is killed meanwhile, goes
// on with the one that takes over.
Result<AttachResult> stay_attached(Node& node, const std::string& id, sys::Fd socket,
                                   const AttachOptions& options);

// The same for an instance that runs already.
Result<AttachResult> attach_to(Node& node, const std::string& id, const AttachOptions& options);

}  // namespace berth::node
