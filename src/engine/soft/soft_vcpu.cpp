#include "engine/soft/soft_vcpu.hpp"

#include <xmmintrin.h>

#include <mutex>
#include <vector>

#include "engine/soft/block_cache.hpp"
#include "engine/soft/decoder.hpp"
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
  SoftVcpu(const guest::GuestMemory& memory, Machine& machine, Decoder decoder, Translator translator)
      : blocks_(memory),
        decoder_(std::move(decoder)),
        translator_(std::move(translator)),
        home_(std::make_unique_for_overwrite<CpuHome>()),
        cpu_(&home_->cpu) {
    cpu_->blocks = &blocks_;
    cpu_->decoder = &decoder_;
    cpu_->translator = &translator_;
    cpu_->memory = &memory;
    cpu_->machine = &machine;
    cpu_->current = &kIdleOp;
    cpu_->arch = x86::power_on_state();
    load_state(*cpu_);
  }

  Result<VmExit> run() override {
    const std::uint32_t host_mxcsr = _mm_getcsr();
    take_memory_changes();
    begin_run(*cpu_);
    finish_write();
    const VmExit exit = run_until_exit(*cpu_, [this] { take_memory_changes(); });
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
    {
      const std::lock_guard lock(changes_mutex_);
      changes_.push_back({value(address), bytes});
    }
    cpu_->attention.fetch_or(kAttentionMemory);
  }

 private:
  struct Change {
    std::uint64_t address, bytes;
  };

  // A write that left the engine is done now: its instruction goes on behind it.
  void finish_write() {
    const bool was_read = answered_;
    answered_ = false;
    if (was_read) return;
    const auto* port = std::get_if<PortIo>(&last_exit_);
    const auto* mmio = std::get_if<Mmio>(&last_exit_);
    if ((port != nullptr && port->write) || (mmio != nullptr && mmio->write)) cpu_->io.append(0);
  }

  void take_memory_changes() {
    std::vector<Change> changes;
    {
      const std::lock_guard lock(changes_mutex_);
      changes.swap(changes_);
    }
    for (const Change& change : changes) blocks_.memory_written(change.address, change.bytes);
  }

  BlockCache blocks_;
  Decoder decoder_;
  Translator translator_;
  std::unique_ptr<CpuHome> home_;
  Cpu* cpu_;
  VmExit last_exit_ = Halt{};
  bool answered_ = false;
  std::mutex changes_mutex_;
  std::vector<Change> changes_;
};

}  // namespace

Result<std::unique_ptr<VcpuEngine>> make_soft_vcpu(const guest::GuestMemory& memory, Machine& machine,
                                                   Tiers tiers) {
  auto decoder = TRY(Decoder::create());
  auto translator = TRY(Translator::create(tiers));
  return std::unique_ptr<VcpuEngine>(
      std::make_unique<SoftVcpu>(memory, machine, std::move(decoder), std::move(translator)));
}

}  // namespace berth::engine::soft
