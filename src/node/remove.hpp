// Taking an instance out of the world.
#pragma once

#include "isolate/config.hpp"
#include "node/paths.hpp"

namespace berth::node {

// Removes all there is of an instance: what is left of its unit, its files, its hold on its image, its row.
// The caller owns the instance (holds its lock), which is not active. Whatever a crash leaves of this,
// recover() finishes.
Result<void> remove_instance(const Paths& paths, const isolate::UnitConfig& config);

}  // namespace berth::node
