// The CPUID leaves that tell what a guest's processor can do: the features that the engines carry out,
// without those for which the host's own processor is needed and lacks them.
#pragma once

#include <cstdint>

namespace berth::x86 {

struct CpuidLeaf {
  std::uint32_t eax = 0, ebx = 0, ecx = 0, edx = 0;
};

// What CPUID itself gives on the host.
CpuidLeaf host_cpuid(std::uint32_t leaf, std::uint32_t subleaf);

// Leaves 0, 1, 7, 0xd, 0x80000000, 0x80000001, 0x80000002-4, 0x80000008 and zeros for others. Left to the
// machine: the topology and the APIC id (leaf 1's EBX, leaf 0xb), caches, the TSC's frequency, and the leaves
// of the hypervisor. What depends on the processor's state (OSXSAVE, the size of what XSAVE writes) is left
// to the engine.
CpuidLeaf feature_leaf(std::uint32_t leaf, std::uint32_t subleaf);

enum class CpuidRegister : std::uint8_t { Eax, Ebx, Ecx, Edx };
struct FeatureBit {
  std::uint32_t leaf = 0;  // 0: always there
  CpuidRegister where = CpuidRegister::Eax;
  std::uint8_t bit = 0;
};
bool is_offered(FeatureBit feature);

// XCR0 may have these bits.
std::uint64_t supported_xcr0();

}  // namespace berth::x86
