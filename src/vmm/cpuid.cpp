#include "vmm/cpuid.hpp"

#include <algorithm>
#include <bit>

#include "device/irq/apic_timer.hpp"

namespace berth::vmm {
namespace {

using engine::CpuidEntry;
using engine::CpuidResult;
using engine::CpuidTable;

constexpr std::uint32_t bit(unsigned number) { return 1U << number; }

// Leaf 1 (SDM vol. 2, CPUID): what the board takes away and what it adds.
constexpr std::uint32_t kNotEcx = bit(2) | bit(3) | bit(5) | bit(6) | bit(7) | bit(8) | bit(15) | bit(18);
constexpr std::uint32_t kAddEcx = bit(21) | bit(24) | bit(31);  // x2APIC, TSC deadline, hypervisor
constexpr std::uint32_t kNotEdx = bit(21) | bit(22) | bit(29) | bit(31) | bit(18) | bit(28);
constexpr std::uint32_t kAddEdx = bit(9) | bit(12) | bit(7) | bit(14);  // APIC, MTRR, MCE, MCA
// 0x80000001 ECX (APM vol. 3, E.4.2): SVM, extended APIC, IBS, SKINIT, watchdog, LWP, topology, counters.
constexpr std::uint32_t kNotExtendedEcx = bit(2) | bit(3) | bit(10) | bit(12) | bit(13) | bit(15) | bit(22) |
                                          bit(23) | bit(24) | bit(26) | bit(27) | bit(28) | bit(29);
// KVM's features (Documentation/virt/kvm/x86/cpuid.rst): kvmclock by old and new MSRs, no I/O delays, and
// that the clock is the same on all processors.
constexpr std::uint32_t kKvmFeatures = bit(0) | bit(1) | bit(3) | bit(24);

CpuidResult& entry_of(CpuidTable& table, std::uint32_t leaf) {
  const auto found =
      std::find_if(table.begin(), table.end(), [&](const CpuidEntry& entry) { return entry.leaf == leaf; });
  if (found != table.end()) return found->result;
  return table.emplace_back(CpuidEntry{.leaf = leaf}).result;
}

void remove(CpuidTable& table, std::initializer_list<std::uint32_t> leaves) {
  std::erase_if(table, [&](const CpuidEntry& entry) {
    return std::find(leaves.begin(), leaves.end(), entry.leaf) != leaves.end() ||
           (entry.leaf >= 0x40000000 && entry.leaf < 0x50000000);
  });
}

void set_basic(CpuidTable& table, const CpuidBoard& board) {
  CpuidResult& maximum = entry_of(table, 0);
  maximum.eax = std::max(maximum.eax, 0x16U);
  CpuidResult& one = entry_of(table, 1);
  one.ebx = (one.ebx & 0xffff) | board.count << 16 | board.index << 24;
  one.ecx = (one.ecx & ~kNotEcx) | kAddEcx;
  one.edx = (one.edx & ~kNotEdx) | kAddEdx | (board.count > 1 ? bit(28) : 0);
  entry_of(table, 6).eax = bit(2);  // the APIC timer always runs
}

void set_topology(CpuidTable& table, const CpuidBoard& board) {
  const auto bits = static_cast<std::uint32_t>(std::bit_width(board.count - 1));
  table.push_back({0xb, 0, true, {0, 1, 0x100, board.index}});               // threads of a core
  table.push_back({0xb, 1, true, {bits, board.count, 0x201, board.index}});  // cores
  table.push_back({0xb, 2, true, {0, 0, 2, board.index}});
}

// SDM vol. 2: TSC = ECX * EBX / EAX, ECX the crystal's frequency, which is the APIC timer's too.
void set_time(CpuidTable& table, const CpuidBoard& board) {
  constexpr auto kCrystal = static_cast<std::uint32_t>(device::kApicTimerHz);
  const auto tsc_khz = static_cast<std::uint32_t>(board.tsc_hz / 1000);
  entry_of(table, 0x15) = {kCrystal / 1000, tsc_khz, kCrystal, 0};
  entry_of(table, 0x16) = {tsc_khz / 1000, tsc_khz / 1000, 100, 0};
  entry_of(table, 0x40000000) = {0x40000010, 0x4b4d564b, 0x564b4d56, 0x4d};  // "KVMKVMKVM"
  entry_of(table, 0x40000001) = {kKvmFeatures, 0, 0, 0};
  entry_of(table, 0x40000010) = {tsc_khz, kCrystal / 1000, 0, 0};
  entry_of(table, 0x80000007) = {0, 0, 0, bit(8)};  // invariant TSC
}

}  // namespace

CpuidTable guest_cpuid(const CpuidTable& features, const CpuidBoard& board) {
  CpuidTable table = features;
  // MONITOR, performance counters, topology in its other forms, SVM, AMD's extended topology.
  remove(table, {0x5, 0xa, 0xb, 0x1f, 0x8000000a, 0x8000001d, 0x8000001e, 0x80000026});
  set_basic(table, board);
  set_topology(table, board);
  set_time(table, board);
  entry_of(table, 0x80000001).ecx &= ~kNotExtendedEcx;
  CpuidResult& sizes = entry_of(table, 0x80000008);
  sizes.ecx = (board.count - 1) | static_cast<std::uint32_t>(std::bit_width(board.count - 1)) << 12;
  for (CpuidEntry& entry : table)  // caches belong to one processor each
    if (entry.leaf == 4) entry.result.eax &= 0x3fff;
  CpuidResult& maximum = entry_of(table, 0x80000000);
  maximum.eax = std::max(maximum.eax, 0x80000008U);
  return table;
}

}  // namespace berth::vmm
