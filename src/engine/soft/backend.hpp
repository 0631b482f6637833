// The software engine: an interpreter for every mode of the processor. Needs nothing of the host but its
// instruction set.
#pragma once

#include "engine/backend.hpp"

namespace berth::engine::soft {

// The memory outlives the backend.
Result<std::unique_ptr<Backend>> make_backend(const guest::GuestMemory& memory);

}  // namespace berth::engine::soft
