// A virtual processor of KVM's. The interrupt controllers are the machine's own, so the kernel is given one
// vector at a time (KVM_INTERRUPT).
#pragma once

#include <atomic>
#include <deque>

#include "engine/vcpu.hpp"
#include "sys/mapping.hpp"

struct kvm_run;

namespace berth::engine::kvm {

class KvmVcpu final : public VcpuEngine {
 public:
  KvmVcpu(sys::Fd vcpu, sys::Mapping run, Machine& machine);

  Result<VmExit> run() override;
  void complete_read(std::uint64_t value) override;
  x86::CpuState& state() override;
  void state_changed() override { state_dirty_ = true; }
  std::uint64_t tsc() override;
  void interrupt() noexcept override;
  void kick() noexcept override;

 private:
  Result<void> inject();
  Result<std::optional<VmExit>> decode_exit();
  VmExit next_string_element();
  void answer_msr(bool write);

  sys::Fd vcpu_;
  sys::Mapping mapping_;
  kvm_run* run_;
  Machine& machine_;
  x86::CpuState state_;
  bool state_valid_ = false;  // state_ is what the kernel has
  bool state_dirty_ = false;  // state_ is newer
  std::uint64_t tsc_offset_ = 0;
  std::uint32_t io_done_ = 0, io_count_ = 0;  // elements of the port access under way
  std::atomic<int> thread_{0};
  std::atomic<bool> kicked_{false};
};

}  // namespace berth::engine::kvm
