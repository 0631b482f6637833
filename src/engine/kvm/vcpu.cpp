#include "engine/kvm/vcpu.hpp"

#include <fmt/core.h>

#include <cstring>

#include "base/log.hpp"
#include "engine/kvm/requests.hpp"
#include "engine/kvm/state.hpp"
#include "sys/kvm.hpp"

namespace berth::engine::kvm {
namespace {

// Guest TSC = host TSC + offset, through the device attribute (Linux 5.16); else by writing the register.
void set_tsc_offset(int vcpu, std::uint64_t offset) {
  kvm_device_attr attribute{};
  attribute.group = KVM_VCPU_TSC_CTRL;
  attribute.attr = KVM_VCPU_TSC_OFFSET;
  attribute.addr = reinterpret_cast<std::uintptr_t>(&offset);
  if (sys::kvm_call(vcpu, KVM_SET_DEVICE_ATTR, &attribute, "KVM_VCPU_TSC_OFFSET")) return;
  struct {  // kvm_msrs, whose array is of no length
    std::uint32_t nmsrs = 1, padding = 0;
    kvm_msr_entry entry{};
  } msrs;
  msrs.entry = {0x10, 0, __builtin_ia32_rdtsc() + offset};
  BERTH_ASSERT(sys::kvm_call(vcpu, kSetMsrs, &msrs, "KVM_SET_MSRS").has_value());
}

}  // namespace

KvmVcpu::KvmVcpu(sys::Fd vcpu, sys::Mapping run, Machine& machine)
    : vcpu_(std::move(vcpu)),
      mapping_(std::move(run)),
      run_(reinterpret_cast<kvm_run*>(mapping_.data())),
      machine_(machine) {}

std::uint64_t KvmVcpu::tsc() { return __builtin_ia32_rdtsc() + tsc_offset_; }

x86::CpuState& KvmVcpu::state() {
  if (!state_valid_ && !state_dirty_) {
    const auto stored = store_state(vcpu_.get(), state_);
    if (!stored) log::error("cannot read the state of a vCPU: {}", stored.error().message);
    BERTH_ASSERT(stored.has_value());
    state_valid_ = true;
  }
  return state_;
}

void KvmVcpu::kick() noexcept {
  kicked_ = true;
  interrupt();
}

// immediate_exit covers the moment before KVM_RUN, the signal the time in it.
void KvmVcpu::interrupt() noexcept {
  __atomic_store_n(&run_->immediate_exit, std::uint8_t{1}, __ATOMIC_SEQ_CST);
  const int thread = thread_.load();
  if (thread != 0 && thread != sys::this_thread()) sys::send_kick_signal(thread);
}

Result<void> KvmVcpu::inject() {
  if (machine_.take_nmi()) TRY(sys::kvm_call(vcpu_.get(), KVM_NMI, 0UL, "KVM_NMI"));
  run_->request_interrupt_window = 0;
  if (!machine_.interrupt_pending()) return {};
  if (run_->ready_for_interrupt_injection == 0) {
    run_->request_interrupt_window = 1;
    return {};
  }
  if (const auto vector = machine_.take_interrupt()) {
    kvm_interrupt interrupt{*vector};
    TRY(sys::kvm_call(vcpu_.get(), KVM_INTERRUPT, &interrupt, "KVM_INTERRUPT"));
  }
  if (machine_.interrupt_pending()) run_->request_interrupt_window = 1;
  return {};
}

Result<VmExit> KvmVcpu::run() {
  thread_ = sys::this_thread();
  if (io_done_ < io_count_) return next_string_element();
  while (true) {
    if (state_dirty_) {
      TRY(load_state(vcpu_.get(), state_));
      if (state_.tsc_offset != tsc_offset_) set_tsc_offset(vcpu_.get(), state_.tsc_offset);
      tsc_offset_ = state_.tsc_offset;
      state_dirty_ = false;
    }
    state_valid_ = false;
    __atomic_store_n(&run_->immediate_exit, std::uint8_t{0}, __ATOMIC_SEQ_CST);
    if (kicked_.exchange(false)) {
      // The kernel finishes an access that was answered only when it is entered again.
      __atomic_store_n(&run_->immediate_exit, std::uint8_t{1}, __ATOMIC_SEQ_CST);
      sys::kvm_run(vcpu_.get());
      return Interrupted{};
    }
    TRY(inject());
    const std::uint64_t priority = machine_.task_priority();
    run_->cr8 = priority;
    const int error = sys::kvm_run(vcpu_.get());
    if (run_->cr8 != priority) machine_.set_task_priority(run_->cr8);
    if (error == EINTR || error == EAGAIN) continue;
    if (error != 0) return fail_errno("KVM_RUN", error);
    if (auto exit = TRY(decode_exit())) return *exit;
  }
}

VmExit KvmVcpu::next_string_element() {
  const auto& io = run_->io;
  PortIo access{.port = io.port, .bytes = io.size, .write = io.direction == KVM_EXIT_IO_OUT};
  if (access.write) {
    std::memcpy(&access.value, mapping_.data() + io.data_offset + std::size_t{io_done_} * io.size, io.size);
    ++io_done_;
  }
  return access;
}

void KvmVcpu::complete_read(std::uint64_t value) {
  if (run_->exit_reason == KVM_EXIT_IO) {
    const auto& io = run_->io;
    std::memcpy(mapping_.data() + io.data_offset + std::size_t{io_done_} * io.size, &value, io.size);
    ++io_done_;
  } else {
    std::memcpy(run_->mmio.data, &value, sizeof value);
  }
}

void KvmVcpu::answer_msr(bool write) {
  auto& msr = run_->msr;
  std::uint64_t value = msr.data;
  msr.error = (write ? machine_.write_msr(msr.index, value) : machine_.read_msr(msr.index, value)) ? 0 : 1;
  msr.data = value;
}

// nullopt: dealt with here.
Result<std::optional<VmExit>> KvmVcpu::decode_exit() {
  switch (run_->exit_reason) {
    case KVM_EXIT_IO:
      io_done_ = 0;
      io_count_ = run_->io.count;
      return next_string_element();
    case KVM_EXIT_MMIO: {
      Mmio access{.address = guest::Gpa{run_->mmio.phys_addr},
                  .bytes = static_cast<std::uint8_t>(run_->mmio.len),
                  .write = run_->mmio.is_write != 0};
      if (access.write) std::memcpy(&access.value, run_->mmio.data, access.bytes);
      return access;
    }
    case KVM_EXIT_X86_RDMSR:
      answer_msr(false);
      return std::nullopt;
    case KVM_EXIT_X86_WRMSR:
      answer_msr(true);
      return std::nullopt;
    case KVM_EXIT_HLT:
      return Halt{};
    case KVM_EXIT_SHUTDOWN:
      return Shutdown{};
    case KVM_EXIT_INTR:
    case KVM_EXIT_SET_TPR:
    case KVM_EXIT_IRQ_WINDOW_OPEN:
      return std::nullopt;
    case KVM_EXIT_FAIL_ENTRY:
      return fail(Code::Internal, fmt::format("the processor refused to enter the guest (reason {:#x})",
                                              run_->fail_entry.hardware_entry_failure_reason));
    case KVM_EXIT_INTERNAL_ERROR:
      return fail(Code::Internal, fmt::format("KVM gave up (suberror {})", run_->internal.suberror));
    default:
      return fail(Code::Unimplemented, fmt::format("KVM's exit {} is not known", run_->exit_reason));
  }
}

}  // namespace berth::engine::kvm
