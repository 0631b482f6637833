// Bringing an instance into being.
#pragma once

#include "image/store/store.hpp"
#include "node/instance_store.hpp"
#include "node/run_options.hpp"

namespace berth::node {

// Finds the image where one is named (pulling is the caller's), and makes the configuration. The unit has
// been asked whether it can run here and honour what is wanted.
Result<isolate::UnitConfig> resolve_config(const Paths& paths, const RunOptions& options);

// Makes row, directories and the hold on the image, in state Creating, owned by the lock that is returned:
// pass it on to a monitor, or settle the instance with set_state(Created). On failure nothing is left behind.
Result<sys::Fd> create_instance(const Paths& paths, InstanceStore& store, const isolate::UnitConfig& config);

}  // namespace berth::node
