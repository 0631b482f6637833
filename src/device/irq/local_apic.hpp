// A processor's local APIC, as xAPIC and x2APIC (SDM vol. 3, chapter 11).
#pragma once

#include <array>
#include <atomic>
#include <optional>

#include "device/irq/apic_bus.hpp"
#include "device/irq/apic_timer.hpp"

namespace berth::device {

inline constexpr std::uint64_t kApicBase = 0xfee00000;
inline constexpr std::uint64_t kApicBytes = 0x1000;

// What a local APIC tells its processor. Any thread.
class ApicOwner {
 public:
  virtual ~ApicOwner() = default;
  virtual void wake() = 0;  // an interrupt may have become deliverable
  virtual void nmi() = 0;
  virtual void init() = 0;
  virtual void startup(std::uint8_t vector) = 0;
};

using VectorBits = std::array<std::uint32_t, 8>;
struct LocalApicState {
  std::uint64_t base_msr = 0;
  std::uint32_t ldr = 0, dfr = 0xffffffff, svr = 0xff, tpr = 0, esr = 0, pending_esr = 0;
  std::uint64_t icr = 0;
  std::array<std::uint32_t, 5> lvt{};  // thermal, performance, LINT0, LINT1, error
  VectorBits irr{}, isr{}, tmr{};
  ApicTimerState timer;
};

// Registers are accessed by the processor's own thread; interrupts are posted from any.
class LocalApic final : public ApicTarget {
 public:
  LocalApic(std::uint32_t id, bool bootstrap, ApicBus& bus, ApicOwner& owner, Timers& timers, GuestTsc tsc);

  bool interrupt_pending() const;
  std::optional<std::uint8_t> take_interrupt();
  std::uint64_t cr8() const { return tpr_.load(std::memory_order_relaxed) >> 4; }
  void set_cr8(std::uint64_t value) { write_tpr(static_cast<std::uint32_t>(value << 4)); }
  // Whether the PIC's interrupts reach the processor: through LINT0, or past an APIC that is off.
  bool passes_pic() const;

  bool memory_mapped() const;  // as xAPIC
  bool enabled() const { return (base_msr_.load(std::memory_order_relaxed) & kGlobalEnable) != 0; }
  std::uint32_t read(std::uint32_t offset);
  void write(std::uint32_t offset, std::uint32_t value);
  // IA32_APIC_BASE, IA32_TSC_DEADLINE and 0x800-0x8ff; false: #GP.
  static bool owns_msr(std::uint32_t index);
  bool read_msr(std::uint32_t index, std::uint64_t& value);
  bool write_msr(std::uint32_t index, std::uint64_t value);
  void reset();  // INIT: all but the id and IA32_APIC_BASE

  // ApicTarget
  std::uint32_t id() const override { return id_; }
  bool matches(std::uint32_t destination, bool logical) const override;
  void deliver(const ApicMessage& message) override;

  LocalApicState save() const;
  void restore(const LocalApicState& state);

 private:
  using AtomicBits = std::array<std::atomic<std::uint32_t>, 8>;
  static constexpr std::uint64_t kGlobalEnable = 1 << 11;

  bool x2apic() const;
  void post(std::uint8_t vector, bool level);
  unsigned processor_priority() const;
  std::optional<unsigned> highest_request() const;
  std::optional<unsigned> highest_in_service() const;
  void write_tpr(std::uint32_t value);
  void end_of_interrupt();
  void write_svr(std::uint32_t value);
  void write_lvt(unsigned index, std::uint32_t value);
  void send_ipi(std::uint64_t icr);
  void error(std::uint32_t bits);
  bool write_base(std::uint64_t value);
  std::uint32_t read_register(std::uint32_t reg);
  bool write_register(std::uint32_t reg, std::uint32_t value);

  const std::uint32_t id_;
  ApicBus& bus_;
  ApicOwner& owner_;
  std::atomic<std::uint64_t> base_msr_;
  std::atomic<std::uint32_t> ldr_{0}, dfr_{0xffffffff}, svr_{0xff}, tpr_{0}, pending_esr_{0};
  std::uint32_t esr_ = 0;
  std::uint64_t icr_ = 0;
  std::array<std::atomic<std::uint32_t>, 5> lvt_;
  AtomicBits irr_{}, tmr_{};
  VectorBits isr_{};
  ApicTimer timer_;
};

}  // namespace berth::device
