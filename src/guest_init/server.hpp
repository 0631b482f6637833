// The loop of a guest's first process.
#pragma once

#include "base/result.hpp"

namespace berth::guest_init {

// Runs what the host wants until that has ended and the host has been told. Reaps whatever is orphaned.
Result<void> serve();

}  // namespace berth::guest_init
