#include "engine/soft/state_sync.hpp"

#include <algorithm>

namespace berth::engine::soft {
namespace {

constexpr std::size_t kMxcsr = 24, kMxcsrMask = 28, kXmm = 160, kHeader = 512, kUpperHalves = 576;

}  // namespace

void load_state(Cpu& cpu) {
  x86::CpuState& arch = cpu.arch;
  std::copy(arch.gpr.begin(), arch.gpr.end(), cpu.native.gpr.begin());
  cpu.rip_base() = arch.rip;
  cpu.current = &kIdleOp;
  cpu.native.gpr[16] = 0;
  const unsigned dpl = arch.segment(x86::SegmentName::Ss).attributes >> 5 & 3u;
  cpu.cpl = static_cast<std::uint8_t>((arch.cr0 & x86::cr0::kPe) != 0 ? dpl : 0);
  set_rflags(cpu, arch.rflags);
  cpu.shadow = arch.interrupt_shadow;
  std::memcpy(cpu.native.fx.data(), arch.xsave.data(), kXmm);
  std::memcpy(&cpu.guest_mxcsr, arch.xsave.data() + kMxcsr, sizeof cpu.guest_mxcsr);
  for (std::size_t i = 0; i < 16; ++i) {
    std::memcpy(cpu.native.vector[i].data(), arch.xsave.data() + kXmm + i * 16, 16);
    std::memcpy(cpu.native.vector[i].data() + 16, arch.xsave.data() + kUpperHalves + i * 16, 16);
  }
  update_mode(cpu);
  flush_tlbs(cpu, true);
}

void store_state(Cpu& cpu) {
  x86::CpuState& arch = cpu.arch;
  std::copy_n(cpu.native.gpr.begin(), 16, arch.gpr.begin());
  arch.rip = cpu.rip_base();
  arch.rflags = get_rflags(cpu);
  arch.interrupt_shadow = cpu.shadow;
  std::memcpy(arch.xsave.data(), cpu.native.fx.data(), kXmm);
  std::memcpy(arch.xsave.data() + kMxcsr, &cpu.guest_mxcsr, sizeof cpu.guest_mxcsr);
  const std::uint32_t mask = 0xffff;
  std::memcpy(arch.xsave.data() + kMxcsrMask, &mask, sizeof mask);
  const std::uint64_t in_use = 7;
  std::memcpy(arch.xsave.data() + kHeader, &in_use, sizeof in_use);
  for (std::size_t i = 0; i < 16; ++i) {
    std::memcpy(arch.xsave.data() + kXmm + i * 16, cpu.native.vector[i].data(), 16);
    std::memcpy(arch.xsave.data() + kUpperHalves + i * 16, cpu.native.vector[i].data() + 16, 16);
  }
}

}  // namespace berth::engine::soft
