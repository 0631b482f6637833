// The engine of the processor's own virtualisation, through /dev/kvm.
#pragma once

#include "engine/backend.hpp"

namespace berth::engine::kvm {

// The memory outlives the backend. Errors say why this machine cannot do it.
Result<std::unique_ptr<Backend>> make_backend(const guest::GuestMemory& memory);

}  // namespace berth::engine::kvm
