// Ending containers.
#pragma once

#include <string>

#include "base/result.hpp"
#include "oci/state/container_dir.hpp"
#include "oci/state/state.hpp"

namespace berth::oci {

// Frees everything of a container that is not running; with `force` of any, also of one that was left
// half-made. NotFound where there is none, but for `force`: somebody else may have been faster. Runs the
// poststop hooks.
Result<void> remove(const std::string& root, const std::string& id, bool force);

// Ends and forgets what there is of a container, as far as that goes.
void clear_up(ContainerDir& dir, const State& state);

// Sends a signal to the first process, or with `all` to every one.
Result<void> kill(const std::string& root, const std::string& id, int signal, bool all);

}  // namespace berth::oci
