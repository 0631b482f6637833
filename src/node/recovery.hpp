// Crash-only: whatever was killed half-way is put right by the next command.
#pragma once

#include "node/instance_store.hpp"

namespace berth::node {

// Looks at every instance that should have an owner and has none: its creator, monitor or remover was killed,
// or the machine was restarted. A unit that still runs gets a new monitor; one that ended is recorded as
// such, cleaned up and restarted where its policy says so; half-made and half-removed instances go. Costs one
// query and one lock an active instance. Problems with one instance are logged and do not keep the others
// from being looked at.
Result<void> recover(const Paths& paths, InstanceStore& store);

}  // namespace berth::node
