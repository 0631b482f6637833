// The software engine: an interpreter for every mode of the processor, and a translator of what is executed
// often. Needs nothing of the host but its instruction set.
#pragma once

#include "engine/backend.hpp"
#include "engine/soft/tiers.hpp"

namespace berth::engine::soft {

// The memory outlives the backend.
Result<std::unique_ptr<Backend>> make_backend(const guest::GuestMemory& memory, Tiers tiers);

}  // namespace berth::engine::soft
