// A virtual processor: its engine, its local APIC, and the thread that runs it.
#pragma once

#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <thread>

#include "device/irq/local_apic.hpp"
#include "engine/backend.hpp"
#include "vmm/board.hpp"
#include "vmm/kvm_clock.hpp"
#include "vmm/msrs.hpp"

namespace berth::vmm {

// How a processor reports to its machine. Any thread.
class VcpuOwner : public device::EndSink {
 public:
  virtual void failed(Error error) = 0;  // the monitor's fault, not the guest's
};

class Vcpu final : private engine::Machine, private device::ApicOwner {
 public:
  struct Place {
    unsigned index = 0, count = 1;
    std::uint64_t tsc_hz = 0;
    std::uint64_t start_tsc = 0;    // the host's counter when the machine was made
    std::uint64_t start_ns = 0;     // when the machine started, on the timers' clock
    std::uint64_t realtime_ns = 0;  // since 1970, at that moment
  };
  Vcpu(const Place& place, Board& board, device::Timers& timers, const guest::GuestMemory& memory,
       VcpuOwner& owner);
  ~Vcpu() override;

  Result<void> attach(engine::Backend& backend);
  // The bootstrap processor begins with `state`, the others wait for it to start them.
  void start(const x86::CpuState* state);
  void stop();  // any thread; the thread ends soon
  void join();
  void pic_pin(bool high);  // the PIC's INT pin; the bootstrap processor's alone
  void memory_written(guest::Gpa address, std::uint64_t bytes);  // by a device; any thread

 private:
  // engine::Machine
  bool interrupt_pending() override;
  std::optional<std::uint8_t> take_interrupt() override;
  bool take_nmi() override;
  std::uint64_t task_priority() override { return apic_.cr8(); }
  void set_task_priority(std::uint64_t value) override { apic_.set_cr8(value); }
  bool read_msr(std::uint32_t index, std::uint64_t& value) override;
  bool write_msr(std::uint32_t index, std::uint64_t value) override;
  engine::CpuidResult cpuid(std::uint32_t leaf, std::uint32_t subleaf) override;
  // device::ApicOwner
  void wake() override;
  void nmi() override;
  void init() override;
  void startup(std::uint8_t vector) override;

  void run();
  void handle(const engine::VmExit& exit);
  void handle(const engine::PortIo& access);
  void handle(const engine::Mmio& access);
  void halt();
  void wait_for_startup();
  void take_signals();
  void kick();

  const Place place_;
  Board& board_;
  device::Timers& timers_;
  VcpuOwner& owner_;
  engine::CpuidTable cpuid_;
  PlainMsrs msrs_;
  KvmClock clock_;
  std::unique_ptr<engine::VcpuEngine> engine_;
  device::LocalApic apic_;

  std::atomic<bool> pic_pin_{false}, nmi_{false}, init_{false}, stop_{false};
  std::atomic<int> startup_{-1};  // the vector of a start-up message, or -1
  std::mutex mutex_;              // for `woken_`
  std::condition_variable woken_;
  std::thread thread_;
};

}  // namespace berth::vmm
