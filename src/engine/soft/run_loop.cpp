#include "engine/soft/run_loop.hpp"

#include "engine/soft/deliver.hpp"
#include "engine/soft/native_ops.hpp"
#include "engine/soft/run.hpp"

namespace berth::engine::soft {
namespace {

using namespace x86;  // NOLINT(google-build-using-namespace): the architecture's names

void begin_event(Cpu& cpu, std::uint8_t vector) {
  cpu.event = Event{.vector = vector, .source = Source::External};
  cpu.event_return_rip = cpu.rip_base();
  cpu.event_pending = true;
  cpu.arch.activity = Activity::Running;
}

// Takes what is due before the next instruction: traps, then NMIs, then interrupts (SDM vol. 3, table 6-2).
// True where an event is to be delivered now.
bool take_event(Cpu& cpu) {
  if (cpu.pending_debug != 0 && !cpu.debug_shadow) {
    cpu.arch.dr6 |= cpu.pending_debug;
    cpu.pending_debug = 0;
    cpu.event = Event{.vector = static_cast<std::uint8_t>(Vector::Db), .source = Source::Exception};
    cpu.event_return_rip = cpu.rip_base();
    cpu.event_pending = true;
    cpu.arch.activity = Activity::Running;
    return true;
  }
  if (cpu.shadow) return false;
  if (!cpu.arch.nmi_blocked && cpu.machine->take_nmi()) {
    begin_event(cpu, static_cast<std::uint8_t>(Vector::Nmi));
    cpu.arch.nmi_blocked = true;
    return true;
  }
  if ((cpu.system_flags & rflags::kIf) != 0 && cpu.machine->interrupt_pending()) {
    if (const auto vector = cpu.machine->take_interrupt()) {
      begin_event(cpu, *vector);
      return true;
    }
  }
  return false;
}

// Code breakpoints are faults: they come before their instruction, unless RF holds them off.
void check_code_breakpoints(Cpu& cpu) {
  if ((cpu.system_flags & rflags::kRf) != 0) return;
  const std::uint64_t linear = cpu.rip_base() + (cpu.is_64bit() ? 0 : cpu.segment(SegmentName::Cs).base);
  std::uint64_t hit = 0;
  for (unsigned i = 0; i < 4; ++i) {
    const bool enabled = (cpu.arch.dr7 >> (2 * i) & 3) != 0 && (cpu.arch.dr7 >> (16 + 4 * i) & 3) == 0;
    if (enabled && cpu.arch.dr[i] == linear) hit |= std::uint64_t{1} << i;
  }
  if (hit == 0) return;
  cpu.arch.dr6 |= hit;
  raise(cpu, Vector::Db);
}

void execute_chain(Cpu& cpu, std::uint32_t kind) {
  for (const Op* op = find_block(cpu, kind)->ops; op != nullptr;) {
    cpu.current = op;
    op = op->run(cpu, op);
  }
  cpu.current = &kIdleOp;
}

// One instruction, where what comes after it matters: under TF, in an interrupt's shadow, when a device's
// answer is waited for.
void execute_single(Cpu& cpu) {
  const bool traps = (cpu.system_flags & rflags::kTf) != 0;
  if (cpu.debugging) check_code_breakpoints(cpu);
  cpu.shadow = cpu.debug_shadow = false;
  cpu.attention.fetch_or(kAttentionSingle);
  const std::uint64_t old_rf = cpu.system_flags & rflags::kRf;
  execute_chain(cpu, block_kind::kSingle);
  if (old_rf != 0) cpu.system_flags &= ~rflags::kRf;
  cpu.io.clear();
  // INT n's handler begins without TF, and MOV SS holds traps off (SDM vol. 3, 6.8.3).
  if (traps && !cpu.event_pending && !cpu.debug_shadow) cpu.pending_debug |= dr6::kBs;
}

bool needs_single(const Cpu& cpu) {
  return cpu.shadow || cpu.debugging || !cpu.io.empty() ||
         (cpu.system_flags & (rflags::kTf | rflags::kRf)) != 0;
}

// One turn of the outer loop. False where the engine is to be left, for cpu.exit.
bool turn(Cpu& cpu) {
  if (cpu.shut_down) {
    cpu.exit = Shutdown{};
    return false;
  }
  if (cpu.event_pending) {
    deliver_event(cpu);
    return true;
  }
  const std::uint32_t attention = cpu.attention.exchange(0);
  if ((attention & kAttentionMemory) != 0) take_memory_news(cpu);
  if ((attention & kAttentionKick) != 0) {
    cpu.exit = Interrupted{};
    return false;
  }
  if (cpu.io.empty()) {
    if (take_event(cpu)) return true;
    if (cpu.arch.activity != Activity::Running) {
      cpu.exit = Halt{};
      return false;
    }
  }
  if (needs_single(cpu)) {
    execute_single(cpu);
  } else {
    execute_chain(cpu, 0);
  }
  return true;
}

// The place that raise() and leave() jump to.
[[gnu::noinline]] void loop(Cpu& cpu) {
  if (_setjmp(cpu.escape) != 0 && cpu.exit.has_value()) return;
  while (turn(cpu)) {
  }
}

}  // namespace

void begin_run(Cpu& cpu) {
  set_mxcsr(cpu, cpu.guest_mxcsr);
  cpu.exit.reset();
  cpu.shut_down = false;
}

const Op* next_in_line(Cpu& cpu) {
  const bool is_plain = !cpu.event_pending && !cpu.shut_down && !cpu.exit.has_value() &&
                        cpu.arch.activity == Activity::Running && cpu.pending_debug == 0 &&
                        !needs_single(cpu);
  if (!is_plain || cpu.attention.load(std::memory_order_relaxed) != 0) return nullptr;
  // What has been held off before may be due now, and is the loop's to take.
  const bool may_interrupt = (cpu.system_flags & rflags::kIf) != 0;
  if (may_interrupt && cpu.machine->interrupt_pending()) return nullptr;
  cpu.current = &kIdleOp;
  return find_block(cpu, 0)->ops;
}

VmExit run_until_exit(Cpu& cpu) {
  loop(cpu);
  cpu.guest_mxcsr = get_mxcsr(cpu);
  return *cpu.exit;
}

}  // namespace berth::engine::soft
