// The states of an instance, and which may follow which.
#pragma once

#include <string_view>

#include "base/result.hpp"

namespace berth::node {

enum class State {
  Creating,  // its creator works on it; without its creator it is removed
  Created,   // made, never started
  Starting,  // its monitor is launching the unit
  Running,
  Paused,
  Restarting,  // its monitor waits to start it again
  Exited,      // ran and ended
  Failed,      // could not be started
  Removing,    // on its way out; whoever finds it finishes that
};

std::string_view state_name(State state);  // "running"
Result<State> parse_state(std::string_view name);

bool may_follow(State from, State to);
// The unit has, or may have, processes, and so a monitor.
bool is_active(State state);
// Where nobody holds the instance's lock, something has crashed.
bool needs_owner(State state);

}  // namespace berth::node
