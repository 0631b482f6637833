// What a unit's configuration asks of a machine, and what of it is the guest's.
#pragma once

#include "isolate/config.hpp"

namespace berth::unit {

inline constexpr std::uint64_t kDefaultMemoryBytes = std::uint64_t{256} << 20;
inline constexpr std::uint64_t kLeastMemoryBytes = std::uint64_t{96} << 20;
inline constexpr std::size_t kMaxLayers = 26;

// Refuses what a virtual machine cannot honour, naming the option.
Result<void> check_machine(const isolate::UnitConfig& config);

// The guest's memory: what --memory says, in whole 2 MiB.
std::uint64_t guest_memory_bytes(const isolate::UnitConfig& config);

// As many as --cpus gives it time of, 1 where it gives none.
unsigned guest_processors(const isolate::UnitConfig& config);
// The limits of the process that is the machine: the guest's memory and what running it takes; what counts
// processes is the guest's.
sys::Resources machine_resources(const isolate::UnitConfig& config);
// The container that the guest runs.
isolate::UnitConfig guest_config(const isolate::UnitConfig& config);

}  // namespace berth::unit
