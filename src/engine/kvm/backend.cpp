#include "engine/kvm/backend.hpp"

#include <fmt/core.h>

#include <array>
#include <cstring>

#include "engine/kvm/requests.hpp"
#include "engine/kvm/vcpu.hpp"
#include "sys/kvm.hpp"

namespace berth::engine::kvm {
namespace {

constexpr std::size_t kMaxCpuidEntries = 256;
// kvm_cpuid2, whose array is of no length.
struct CpuidBuffer {
  std::uint32_t nent = 0, padding = 0;
  std::array<kvm_cpuid_entry2, kMaxCpuidEntries> entries{};
};

Result<CpuidTable> supported_cpuid(int system) {
  auto buffer = std::make_unique<CpuidBuffer>();
  buffer->nent = kMaxCpuidEntries;
  TRY(sys::kvm_call(system, kGetSupportedCpuid, buffer.get(), "KVM_GET_SUPPORTED_CPUID"));
  CpuidTable table;
  for (std::size_t i = 0; i < buffer->nent; ++i) {
    const kvm_cpuid_entry2& entry = buffer->entries[i];
    table.push_back({entry.function,
                     entry.index,
                     (entry.flags & KVM_CPUID_FLAG_SIGNIFCANT_INDEX) != 0,
                     {entry.eax, entry.ebx, entry.ecx, entry.edx}});
  }
  return table;
}

Result<void> set_cpuid(int vcpu, const CpuidTable& table) {
  if (table.size() > kMaxCpuidEntries) return fail(Code::Internal, "more than 256 CPUID leaves");
  auto buffer = std::make_unique<CpuidBuffer>();
  buffer->nent = static_cast<std::uint32_t>(table.size());
  for (std::size_t i = 0; i < table.size(); ++i) {
    const CpuidEntry& from = table[i];
    kvm_cpuid_entry2& to = buffer->entries[i];
    to.function = from.leaf;
    to.index = from.subleaf;
    to.flags = from.indexed ? KVM_CPUID_FLAG_SIGNIFCANT_INDEX : 0;
    to.eax = from.result.eax;
    to.ebx = from.result.ebx;
    to.ecx = from.result.ecx;
    to.edx = from.result.edx;
  }
  TRY(sys::kvm_call(vcpu, kSetCpuid2, buffer.get(), "KVM_SET_CPUID2"));
  return {};
}

// The MSRs that are the machine's come to us; all others stay the kernel's.
Result<void> send_msrs_to_us(int machine) {
  kvm_enable_cap capability{};
  capability.cap = KVM_CAP_X86_USER_SPACE_MSR;
  capability.args[0] = KVM_MSR_EXIT_REASON_INVAL | KVM_MSR_EXIT_REASON_UNKNOWN | KVM_MSR_EXIT_REASON_FILTER;
  TRY(sys::kvm_call(machine, KVM_ENABLE_CAP, &capability, "KVM_CAP_X86_USER_SPACE_MSR"));
  constexpr std::uint32_t kReadWrite = KVM_MSR_FILTER_READ | KVM_MSR_FILTER_WRITE;
  std::uint8_t none[4] = {};  // a bitmap of zeros: up to 32 registers that the kernel may not handle
  const auto deny = [&](std::uint32_t base, std::uint32_t count) {
    return kvm_msr_filter_range{kReadWrite, count, base, none};
  };
  kvm_msr_filter filter{};
  filter.flags = KVM_MSR_FILTER_DEFAULT_ALLOW;
  const std::array ranges{deny(0x11, 2), deny(0x1b, 1),   deny(0x6e0, 1),  deny(0x4b564d00, 2),
                          deny(0xfe, 1), deny(0x200, 16), deny(0x250, 32), deny(0x2ff, 1)};  // MTRRs
  static_assert(ranges.size() <= KVM_MSR_FILTER_MAX_RANGES);
  std::copy(ranges.begin(), ranges.end(), filter.ranges);
  TRY(sys::kvm_call(machine, KVM_X86_SET_MSR_FILTER, &filter, "KVM_X86_SET_MSR_FILTER"));
  return {};
}

class KvmBackend final : public Backend {
 public:
  KvmBackend(sys::Fd machine, std::size_t run_bytes, CpuidTable features)
      : machine_(std::move(machine)), run_bytes_(run_bytes), features_(std::move(features)) {}
  std::string_view name() const override { return "kvm"; }
  const CpuidTable& features() const override { return features_; }

  Result<std::unique_ptr<VcpuEngine>> make_vcpu(unsigned index, Machine& machine,
                                                const CpuidTable& cpuid) override {
    sys::Fd vcpu(TRY(sys::kvm_call(machine_.get(), KVM_CREATE_VCPU, index, "KVM_CREATE_VCPU")));
    TRY(set_cpuid(vcpu.get(), cpuid));
    auto run = TRY(sys::Mapping::shared(vcpu.get(), run_bytes_, sys::Mapping::Access::ReadWrite, "kvm_run"));
    return std::make_unique<KvmVcpu>(std::move(vcpu), std::move(run), machine);
  }

 private:
  sys::Fd machine_;
  std::size_t run_bytes_;
  CpuidTable features_;
};

Result<void> map_memory(int machine, const guest::GuestMemory& memory) {
  std::uint32_t slot = 0;
  for (const guest::Region& region : memory.regions()) {
    kvm_userspace_memory_region mapped{};
    mapped.slot = slot++;
    mapped.guest_phys_addr = guest::value(region.start);
    mapped.memory_size = region.bytes;
    mapped.userspace_addr = reinterpret_cast<std::uintptr_t>(memory.base()) + region.file_offset;
    TRY(sys::kvm_call(machine, KVM_SET_USER_MEMORY_REGION, &mapped, "KVM_SET_USER_MEMORY_REGION"));
  }
  return {};
}

}  // namespace

Result<std::unique_ptr<Backend>> make_backend(const guest::GuestMemory& memory) {
  const sys::Fd system = TRY_DURING("kvm engine", sys::open_kvm());
  sys::prepare_kick_signal();
  auto features = TRY(supported_cpuid(system.get()));
  const int run_bytes =
      TRY(sys::kvm_call(system.get(), KVM_GET_VCPU_MMAP_SIZE, 0UL, "KVM_GET_VCPU_MMAP_SIZE"));
  sys::Fd machine(TRY(sys::kvm_call(system.get(), KVM_CREATE_VM, 0UL, "KVM_CREATE_VM")));
  // Three pages that Intel's processors need for real mode; just below the BIOS's end.
  TRY(sys::kvm_call(machine.get(), KVM_SET_TSS_ADDR, 0xfffbd000UL, "KVM_SET_TSS_ADDR"));
  TRY(send_msrs_to_us(machine.get()));
  TRY(map_memory(machine.get(), memory));
  return std::make_unique<KvmBackend>(std::move(machine), static_cast<std::size_t>(run_bytes),
                                      std::move(features));
}

}  // namespace berth::engine::kvm
