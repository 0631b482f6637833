// The one interface of the engines: run a virtual processor until something outside it has to act. One
// virtual call an exit, never one an instruction.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <variant>

#include "base/result.hpp"
#include "guest/memory.hpp"
#include "x86/cpu_state.hpp"

namespace berth::engine {

// IN and OUT; string forms come one element at a time. A read is answered by VcpuEngine::complete_read before
// the next run().
struct PortIo {
  std::uint16_t port = 0;
  std::uint8_t bytes = 1;  // 1, 2 or 4
  bool write = false;
  std::uint32_t value = 0;  // of a write
};
// An access to guest-physical memory that is not RAM; answered likewise. Wider ones are split.
struct Mmio {
  guest::Gpa address{};
  std::uint8_t bytes = 1;  // 1, 2, 4 or 8
  bool write = false;
  std::uint64_t value = 0;
};
struct Halt {};         // HLT with nothing pending: run() again once an interrupt is, or after a kick
struct Shutdown {};     // triple fault
struct Interrupted {};  // kick() was called
using VmExit = std::variant<PortIo, Mmio, Halt, Shutdown, Interrupted>;

struct CpuidResult {
  std::uint32_t eax = 0, ebx = 0, ecx = 0, edx = 0;
};

// What a virtual processor asks of its machine while it runs, on its own thread.
class Machine {
 public:
  virtual ~Machine() = default;
  // Whether a maskable interrupt could be delivered now (above the task priority), and taking it: gives its
  // vector and acknowledges it at the controller. nullopt where it has gone meanwhile.
  virtual bool interrupt_pending() = 0;
  virtual std::optional<std::uint8_t> take_interrupt() = 0;
  virtual bool take_nmi() { return false; }
  // CR8, which the local APIC holds as its task priority (bits 4-7 of the TPR).
  virtual std::uint64_t task_priority() = 0;
  virtual void set_task_priority(std::uint64_t value) = 0;
  // The MSRs that are the machine's: APIC base, x2APIC, TSC deadline, kvmclock, MTRRs, MCA. false: #GP.
  virtual bool read_msr(std::uint32_t index, std::uint64_t& value) = 0;
  virtual bool write_msr(std::uint32_t index, std::uint64_t value) = 0;
  // What CPUID gives on this processor; the engine fills in what depends on state (OSXSAVE, APIC enabled,
  // XSAVE sizes).
  virtual CpuidResult cpuid(std::uint32_t leaf, std::uint32_t subleaf) = 0;
};

class VcpuEngine {
 public:
  virtual ~VcpuEngine() = default;
  // Runs until the machine must act. The vCPU's own thread only.
  virtual Result<VmExit> run() = 0;
  virtual void complete_read(std::uint64_t value) = 0;
  // Exact between two runs; after changing it, tell with state_changed().
  virtual x86::CpuState& state() = 0;
  virtual void state_changed() = 0;
  // The guest's time stamp counter now. The vCPU's own thread, in a run too (from the machine's MSRs).
  virtual std::uint64_t tsc() { return __builtin_ia32_rdtsc() + state().tsc_offset; }
  // Any thread: makes run() look at the machine's interrupts again, or return Interrupted where `stop` was
  // asked.
  virtual void interrupt() noexcept = 0;  // look again
  virtual void kick() noexcept = 0;       // return
  // Any thread: a device has written guest memory. Engines that cache what code says must look again.
  virtual void guest_memory_written(guest::Gpa address, std::uint64_t bytes) {
    static_cast<void>(address);
    static_cast<void>(bytes);
  }
};

}  // namespace berth::engine
