#include "vmm/vcpu.hpp"

#include <fmt/core.h>

#include "sys/thread.hpp"
#include "vmm/cpuid.hpp"

namespace berth::vmm {
namespace {

constexpr std::uint64_t kInterruptFlag = 1 << 9;

}  // namespace

Vcpu::Vcpu(const Place& place, Board& board, device::Timers& timers, const guest::GuestMemory& memory,
           VcpuOwner& owner)
    : place_(place),
      board_(board),
      timers_(timers),
      owner_(owner),
      clock_(memory, place.tsc_hz),
      apic_(place.index, place.index == 0, board.apics(), *this, timers,
            {place.tsc_hz, [this] { return engine_->tsc(); }}) {}

Vcpu::~Vcpu() {
  stop();
  join();
}

void Vcpu::memory_written(guest::Gpa address, std::uint64_t bytes) {
  engine_->guest_memory_written(address, bytes);
}

Result<void> Vcpu::attach(engine::Backend& backend) {
  cpuid_ = guest_cpuid(backend.features(), {place_.index, place_.count, place_.tsc_hz});
  engine_ = TRY(backend.make_vcpu(place_.index, *this, cpuid_));
  return {};
}

void Vcpu::start(const x86::CpuState* state) {
  x86::CpuState& own = engine_->state();
  own = state != nullptr ? *state : x86::power_on_state();
  if (state == nullptr) own.activity = x86::Activity::WaitForSipi;
  own.tsc_offset = 0 - place_.start_tsc;  // the guest's counter starts near 0, the same on all processors
  engine_->state_changed();
  thread_ = std::thread([this] { run(); });
}

void Vcpu::stop() {
  stop_ = true;
  kick();
}

void Vcpu::join() {
  if (thread_.joinable()) thread_.join();
}

void Vcpu::kick() {
  if (engine_) engine_->kick();
  const std::lock_guard lock(mutex_);
  woken_.notify_one();
}

void Vcpu::wake() {
  if (engine_) engine_->interrupt();
  const std::lock_guard lock(mutex_);
  woken_.notify_one();
}

void Vcpu::nmi() {
  nmi_ = true;
  wake();
}

void Vcpu::init() {
  startup_ = -1;  // here and not in take_signals(), which may come after the start-up message that follows
  init_ = true;
  kick();
}

void Vcpu::startup(std::uint8_t vector) {
  startup_ = vector;
  kick();
}

void Vcpu::pic_pin(bool high) {
  pic_pin_ = high;
  if (high) wake();
}

bool Vcpu::interrupt_pending() {
  return (pic_pin_.load(std::memory_order_relaxed) && apic_.passes_pic()) || apic_.interrupt_pending();
}

std::optional<std::uint8_t> Vcpu::take_interrupt() {
  if (pic_pin_ && apic_.passes_pic()) return board_.pic().acknowledge();
  return apic_.take_interrupt();
}

bool Vcpu::take_nmi() { return nmi_.load(std::memory_order_relaxed) && nmi_.exchange(false); }

bool Vcpu::read_msr(std::uint32_t index, std::uint64_t& value) {
  if (device::LocalApic::owns_msr(index)) return apic_.read_msr(index, value);
  if (!KvmClock::owns_msr(index)) return msrs_.read(index, value);
  value = clock_.read_msr(index);
  return true;
}

bool Vcpu::write_msr(std::uint32_t index, std::uint64_t value) {
  if (device::LocalApic::owns_msr(index)) return apic_.write_msr(index, value);
  if (!KvmClock::owns_msr(index)) return msrs_.write(index, value);
  return clock_.write_msr(index, value, engine_->tsc(), timers_.now_ns() - place_.start_ns,
                          place_.realtime_ns);
}

engine::CpuidResult Vcpu::cpuid(std::uint32_t leaf, std::uint32_t subleaf) {
  return engine::look_up(cpuid_, leaf, subleaf);
}

void Vcpu::run() {
  sys::set_thread_name(fmt::format("vcpu{}", place_.index).c_str());
  while (!stop_) {
    take_signals();
    if (engine_->state().activity == x86::Activity::WaitForSipi) {
      wait_for_startup();
      continue;
    }
    auto exit = engine_->run();
    if (!exit) return owner_.failed(std::move(exit).error().during(fmt::format("vCPU {}", place_.index)));
    handle(*exit);
  }
}

// INIT and start-up messages (SDM vol. 3, 9.4): the second counts only after the first.
void Vcpu::take_signals() {
  if (init_.exchange(false)) {
    apic_.reset();
    x86::CpuState fresh = x86::power_on_state();
    fresh.activity = x86::Activity::WaitForSipi;
    fresh.tsc_offset = engine_->state().tsc_offset;
    engine_->state() = fresh;
    engine_->state_changed();
  }
  if (startup_.load(std::memory_order_relaxed) < 0) return;
  const int vector = startup_.exchange(-1);
  x86::CpuState& state = engine_->state();
  if (state.activity != x86::Activity::WaitForSipi) return;
  x86::Segment& code = state.segment(x86::SegmentName::Cs);
  code.selector = static_cast<std::uint16_t>(vector << 8);
  code.base = static_cast<std::uint64_t>(vector) << 12;
  state.rip = 0;
  state.activity = x86::Activity::Running;
  engine_->state_changed();
}

void Vcpu::wait_for_startup() {
  std::unique_lock lock(mutex_);
  woken_.wait(lock, [&] { return stop_ || init_ || startup_ >= 0; });
}

void Vcpu::halt() {
  const bool interruptible = (engine_->state().rflags & kInterruptFlag) != 0;
  std::unique_lock lock(mutex_);
  woken_.wait(lock, [&] { return stop_ || init_ || nmi_ || (interruptible && interrupt_pending()); });
}

void Vcpu::handle(const engine::PortIo& access) {
  if (access.write) {
    board_.ports().write(access.port, access.bytes, access.value);
  } else {
    engine_->complete_read(board_.ports().read(access.port, access.bytes));
  }
}

void Vcpu::handle(const engine::Mmio& access) {
  const std::uint64_t address = guest::value(access.address);
  const std::uint64_t apic_offset = address - device::kApicBase;
  const bool to_apic = apic_offset < device::kApicBytes && apic_.memory_mapped();
  if (access.write) {
    to_apic ? apic_.write(static_cast<std::uint32_t>(apic_offset), static_cast<std::uint32_t>(access.value))
            : board_.mmio().write(address, access.bytes, access.value);
  } else {
    engine_->complete_read(to_apic ? apic_.read(static_cast<std::uint32_t>(apic_offset))
                                   : board_.mmio().read(address, access.bytes));
  }
}

void Vcpu::handle(const engine::VmExit& exit) {
  if (const auto* port = std::get_if<engine::PortIo>(&exit)) {
    handle(*port);
  } else if (const auto* mmio = std::get_if<engine::Mmio>(&exit)) {
    handle(*mmio);
  } else if (std::holds_alternative<engine::Halt>(exit)) {
    halt();
  } else if (std::holds_alternative<engine::Shutdown>(exit)) {
    owner_.end({device::EndKind::TripleFault, place_.index});
    stop_ = true;
  }
}

}  // namespace berth::vmm
