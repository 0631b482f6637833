#include "x86/cpuid.hpp"

#include <cpuid.h>

#include <initializer_list>

#include "x86/bits.hpp"

namespace berth::x86 {
namespace {

constexpr std::uint32_t bits(std::initializer_list<unsigned> numbers) {
  std::uint32_t mask = 0;
  for (const unsigned number : numbers) mask |= 1u << number;
  return mask;
}

// For each register: what the engines run on the host's processor, so that the host must have it, and what
// they do by themselves.
struct Mask {
  std::uint32_t of_host = 0, own = 0;
  std::uint32_t apply(std::uint32_t host) const { return (host & of_host) | own; }
};

// SSE3 PCLMULQDQ SSSE3 FMA SSE4.1 SSE4.2 POPCNT AES AVX F16C RDRAND and MOVBE; CX16 PCID X2APIC TSC-deadline
// XSAVE hypervisor
constexpr Mask k1Ecx{bits({0, 1, 9, 12, 19, 20, 22, 23, 25, 28, 29, 30}), bits({13, 17, 21, 24, 26, 31})};
// all by ourselves: FPU VME(no) DE PSE TSC MSR PAE MCE CX8 APIC SEP MTRR PGE MCA CMOV PAT PSE36 CLFSH MMX
// FXSR SSE SSE2
constexpr Mask k1Edx{0, bits({0, 2, 3, 4, 5, 6, 7, 8, 9, 11, 12, 13, 14, 15, 16, 17, 19, 23, 24, 25, 26})};
// BMI1 AVX2 BMI2 ERMS RDSEED ADX CLFLUSHOPT CLWB SHA; FSGSBASE SMEP INVPCID SMAP
constexpr Mask k7Ebx{bits({3, 5, 8, 9, 18, 19, 23, 24, 29}), bits({0, 7, 10, 20})};
// GFNI VAES VPCLMULQDQ; UMIP RDPID
constexpr Mask k7Ecx{bits({8, 9, 10}), bits({2, 22})};
constexpr Mask k7Edx{bits({4}), 0};  // FSRM
// LAHF ABM 3DNow-prefetch
constexpr Mask kExtended1Ecx{bits({0, 5, 8}), 0};
// SYSCALL NX 1-GiB-pages RDTSCP LM; the lower ones repeat leaf 1 on AMD's processors only
constexpr Mask kExtended1Edx{0, bits({11, 20, 26, 27, 29})};
constexpr std::uint32_t kMaxLeaf = 0x16, kMaxExtendedLeaf = 0x80000008;

bool host_is_amd() {
  const CpuidLeaf leaf = host_cpuid(0, 0);
  return leaf.ecx == 0x444d4163;  // "cAMD"
}

CpuidLeaf xsave_leaf(std::uint32_t subleaf) {
  const std::uint64_t xcr0 = supported_xcr0();
  const std::uint32_t bytes = (xcr0 & 4) != 0 ? 832 : 576;
  if (subleaf == 0) return {.eax = static_cast<std::uint32_t>(xcr0), .ebx = bytes, .ecx = bytes};
  if (subleaf == 1) return {.eax = 0x7};  // XSAVEOPT, XSAVEC, XGETBV with ECX 1
  if (subleaf == 2 && (xcr0 & 4) != 0) return {.eax = 256, .ebx = 576};
  return {};
}

}  // namespace

CpuidLeaf host_cpuid(std::uint32_t leaf, std::uint32_t subleaf) {
  CpuidLeaf result;
  __cpuid_count(leaf, subleaf, result.eax, result.ebx, result.ecx, result.edx);
  return result;
}

std::uint64_t supported_xcr0() { return (host_cpuid(1, 0).ecx & 1u << 28) != 0 ? 7 : 3; }

CpuidLeaf feature_leaf(std::uint32_t leaf, std::uint32_t subleaf) {
  const CpuidLeaf host = host_cpuid(leaf, subleaf);
  switch (leaf) {
    case 0:
      return {.eax = kMaxLeaf, .ebx = host.ebx, .ecx = host.ecx, .edx = host.edx};
    case 1:
      return {.eax = host.eax, .ebx = 8 << 8, .ecx = k1Ecx.apply(host.ecx), .edx = k1Edx.apply(host.edx)};
    case 7:
      if (subleaf != 0) return {};
      return {.ebx = k7Ebx.apply(host.ebx), .ecx = k7Ecx.apply(host.ecx), .edx = k7Edx.apply(host.edx)};
    case 0xd:
      return xsave_leaf(subleaf);
    case 0x80000000:
      return {.eax = kMaxExtendedLeaf, .ebx = host.ebx, .ecx = host.ecx, .edx = host.edx};
    case 0x80000001: {
      const std::uint32_t repeated = host_is_amd() ? k1Edx.own & 0x0183f3ff : 0;
      return {.eax = host.eax,
              .ecx = kExtended1Ecx.apply(host.ecx),
              .edx = kExtended1Edx.apply(host.edx) | repeated};
    }
    case 0x80000002:
    case 0x80000003:
    case 0x80000004:
      return host;
    case 0x80000007:
      return {.edx = 1 << 8};  // invariant TSC
    case 0x80000008:
      return {.eax = 48 << 8 | kPhysicalBits};
    default:
      return {};
  }
}

bool is_offered(FeatureBit feature) {
  if (feature.leaf == 0) return true;
  const CpuidLeaf leaf = feature_leaf(feature.leaf, 0);
  const std::uint32_t value = feature.where == CpuidRegister::Eax   ? leaf.eax
                              : feature.where == CpuidRegister::Ebx ? leaf.ebx
                              : feature.where == CpuidRegister::Ecx ? leaf.ecx
                                                                    : leaf.edx;
  return (value >> feature.bit & 1) != 0;
}

}  // namespace berth::x86
