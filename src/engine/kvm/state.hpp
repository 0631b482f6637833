// Between CpuState and what KVM calls registers.
#pragma once

#include "base/result.hpp"
#include "x86/cpu_state.hpp"

namespace berth::engine::kvm {

Result<void> load_state(int vcpu, const x86::CpuState& state);
// All but tsc_offset and activity, which the kernel does not hold.
Result<void> store_state(int vcpu, x86::CpuState& state);

}  // namespace berth::engine::kvm
