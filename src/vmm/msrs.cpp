#include "vmm/msrs.hpp"

#include <algorithm>
#include <array>

namespace berth::vmm {
namespace {

struct Row {
  std::uint32_t index;
  std::uint64_t value;
  bool writable;
};

// SDM vol. 4, chapter 2; AMD's from the APM, vol. 2, appendix A.
constexpr std::array kRows{
    Row{0x00000017, 0x0, false},    // IA32_PLATFORM_ID
    Row{0x0000003a, 0x1, false},    // IA32_FEATURE_CONTROL: locked, no VMX
    Row{0x0000008b, 0x0, true},     // IA32_BIOS_SIGN_ID
    Row{0x000000ce, 0x0, false},    // MSR_PLATFORM_INFO
    Row{0x000000fe, 0x508, false},  // IA32_MTRRCAP: 8 variable ranges, fixed ones, write combining
    Row{0x00000179, 0x0, false},    // IA32_MCG_CAP: no banks
    Row{0x0000017a, 0x0, true},     // IA32_MCG_STATUS
    Row{0x000001a0, 0x1, true},     // IA32_MISC_ENABLE: fast strings
    Row{0x000001d9, 0x0, true},     // IA32_DEBUGCTL
    Row{0x00000250, 0x0606060606060606, true},
    Row{0x00000258, 0x0606060606060606, true},
    Row{0x00000259, 0x0, true},  // IA32_MTRR_FIX16K_A0000: uncached
    Row{0x00000268, 0x0606060606060606, true},
    Row{0x00000269, 0x0606060606060606, true},
    Row{0x0000026a, 0x0606060606060606, true},
    Row{0x0000026b, 0x0606060606060606, true},
    Row{0x0000026c, 0x0606060606060606, true},
    Row{0x0000026d, 0x0606060606060606, true},
    Row{0x0000026e, 0x0606060606060606, true},
    Row{0x0000026f, 0x0606060606060606, true},
    Row{0x000002ff, 0xc06, true},       // IA32_MTRR_DEF_TYPE: enabled, write back
    Row{0xc0010010, 0x0, true},         // SYSCFG
    Row{0xc0010015, 0x01000000, true},  // HWCR: the TSC counts at the nominal frequency
    Row{0xc001001f, 0x0, true},         // NB_CFG
    Row{0xc0010055, 0x0, true},         // interrupt pending messages
    Row{0xc0010112, 0x0, true},         // SMM address
    Row{0xc0010113, 0x0, true},         // SMM mask
    Row{0xc0010114, 0x18, false},       // VM_CR: SVM is locked off
    Row{0xc0010117, 0x0, false},        // VM_HSAVE_PA
    Row{0xc0010140, 0x0, false},        // OSVW: no known errata
    Row{0xc0010141, 0x0, false},
    Row{0xc0011029, 0x2, true},  // DE_CFG: LFENCE serializes
};
constexpr std::uint32_t kVariableMtrrs = 0x200, kVariableMtrrsEnd = 0x210;

}  // namespace

PlainMsrs::PlainMsrs() {
  for (const Row& row : kRows) values_[row.index] = row.value;
  for (std::uint32_t index = kVariableMtrrs; index < kVariableMtrrsEnd; ++index) values_[index] = 0;
  // All that is devices', below 4 GiB, is uncached: base 3 GiB, mask for 1 GiB of 40 bits.
  values_[kVariableMtrrs] = 0xc0000000;
  values_[kVariableMtrrs + 1] = 0xffc0000800;
}

bool PlainMsrs::read(std::uint32_t index, std::uint64_t& value) const {
  const auto found = values_.find(index);
  if (found == values_.end()) return false;
  value = found->second;
  return true;
}

bool PlainMsrs::write(std::uint32_t index, std::uint64_t value) {
  const auto found = values_.find(index);
  if (found == values_.end()) return false;
  const auto row = std::find_if(kRows.begin(), kRows.end(),
                                [&](const Row& candidate) { return candidate.index == index; });
  if (row != kRows.end() && !row->writable) return false;
  found->second = value;
  return true;
}

}  // namespace berth::vmm
