#include "engine/soft/soft_vcpu.hpp"

#include <xmmintrin.h>

#include "engine/soft/block_cache.hpp"
#include "engine/soft/decoder.hpp"
#include "engine/soft/first_touch.hpp"
#include "engine/soft/run.hpp"
#include "engine/soft/run_loop.hpp"
#include "engine/soft/state_sync.hpp"

namespace berth::engine::soft {
namespace {

// Translated code has RSP at `cpu`: what the host's kernel pushes there for a signal falls into `below`.
struct CpuHome {
  alignas(64) std::array<std::byte, 65536> below;
  Cpu cpu;
};

class SoftVcpu final : public VcpuEngine {
 public:
  SoftVcpu(const guest::GuestMemory& memory, Machine& machine, Seat seat, Decoder decoder,
           Translator translator)
      : seat_(std::move(seat)),
        blocks_(memory, *seat_.processors, seat_.index),
        decoder_(std::move(decoder)),
        translator_(std::move(translator)),
        home_(std::make_unique_for_overwrite<CpuHome>()),
        cpu_(&home_->cpu),
        mailbox_(cpu_->attention),
        first_touch_(memory) {
    cpu_->first_touch = &first_touch_;
    seat_.processors->add(seat_.index, mailbox_);
    cpu_->mailbox = &mailbox_;
    cpu_->blocks = &blocks_;
    cpu_->decoder = &decoder_;
    cpu_->translator = &translator_;
    cpu_->memory = &memory;
    cpu_->machine = &machine;
    cpu_->current = &kIdleOp;
    cpu_->arch = x86::power_on_state();
    load_state(*cpu_);
  }

  SoftVcpu(const SoftVcpu&) = delete;
  SoftVcpu& operator=(const SoftVcpu&) = delete;
  ~SoftVcpu() override { seat_.processors->remove(seat_.index); }

  Result<VmExit> run() override {
    const std::uint32_t host_mxcsr = _mm_getcsr();
    mailbox_.set_running(true);
    take_memory_news(*cpu_);
    begin_run(*cpu_);
    finish_write();
    const VmExit exit = run_until_exit(*cpu_);
    mailbox_.set_running(false);
    store_state(*cpu_);
    _mm_setcsr(host_mxcsr);
    last_exit_ = exit;
    return exit;
  }

  void complete_read(std::uint64_t value) override {
    cpu_->io.append(value);
    answered_ = true;
  }
  x86::CpuState& state() override { return cpu_->arch; }
  void state_changed() override {
    cpu_->io.clear();
    cpu_->event_pending = false;
    last_exit_ = Halt{};
    load_state(*cpu_);
  }
  void interrupt() noexcept override { cpu_->attention.fetch_or(kAttentionInterrupt); }
  void kick() noexcept override { cpu_->attention.fetch_or(kAttentionKick); }
  void guest_memory_written(guest::Gpa address, std::uint64_t bytes) override {
    if (bytes != 0) mailbox_.post({value(address), bytes});
  }

 private:
  // A write that left the engine is done now: its instruction goes on behind it.
  void finish_write() {
    const bool was_read = answered_;
    answered_ = false;
    if (was_read) return;
    const auto* port = std::get_if<PortIo>(&last_exit_);
    const auto* mmio = std::get_if<Mmio>(&last_exit_);
    if ((port != nullptr && port->write) || (mmio != nullptr && mmio->write)) cpu_->io.append(0);
  }

  Seat seat_;
  BlockCache blocks_;
  Decoder decoder_;
  Translator translator_;
  std::unique_ptr<CpuHome> home_;
  Cpu* cpu_;
  Mailbox mailbox_;
  FirstTouch first_touch_;
  VmExit last_exit_ = Halt{};
  bool answered_ = false;
};

}  // namespace

Result<std::unique_ptr<VcpuEngine>> make_soft_vcpu(const guest::GuestMemory& memory, Machine& machine,
                                                   Tiers tiers, Seat seat) {
  if (!seat.processors) seat.processors = std::make_shared<Processors>(memory);
  auto decoder = TRY(Decoder::create());
  auto translator = TRY(Translator::create(tiers));
  return std::unique_ptr<VcpuEngine>(std::make_unique<SoftVcpu>(memory, machine, std::move(seat),
                                                                std::move(decoder), std::move(translator)));
}

}  // namespace berth::engine::soft
