#include "engine/soft/deliver.hpp"

#include "engine/soft/segment.hpp"
#include "engine/soft/stack.hpp"
#include "engine/soft/task.hpp"

namespace berth::engine::soft {
namespace {

using namespace x86;  // NOLINT(google-build-using-namespace): the architecture's names

constexpr std::uint32_t kErrorIdt = 2;

struct Gate {
  Descriptor low;
  std::uint64_t offset = 0;
  bool is_trap = false;
  unsigned bytes = 4;  // of each thing pushed
};

std::uint32_t external_bit(const Event& event) {
  return event.source == Source::Software || event.source == Source::PrivilegedSoftware ? 0 : 1;
}

// Writes at places that are not SS:RSP yet.
class FrameWriter {
 public:
  FrameWriter(Cpu& cpu, std::uint64_t base, std::uint64_t mask, std::uint64_t offset)
      : cpu_(cpu), base_(base), mask_(mask), offset_(offset & mask) {}
  void push(unsigned bytes, std::uint64_t value) {
    offset_ = (offset_ - bytes) & mask_;
    const std::uint64_t linear = base_ + offset_;
    const std::uint64_t wrapped = cpu_.is_long() ? linear : linear & 0xffffffff;
    store_slow(cpu_, wrapped, &value, bytes, Intent::System);
  }
  std::uint64_t offset() const { return offset_; }

 private:
  Cpu& cpu_;
  std::uint64_t base_, mask_, offset_;
};

[[noreturn]] void refuse_gate(Cpu& cpu, const Event& event, Vector vector = Vector::Gp) {
  raise(cpu, vector, event.vector * 8u | kErrorIdt | external_bit(event));
}

Gate read_gate(Cpu& cpu, const Event& event) {
  const unsigned size = cpu.is_long() ? 16 : 8;
  if (event.vector * size + size - 1 > cpu.arch.idtr.limit) refuse_gate(cpu, event);
  const std::uint64_t linear = cpu.arch.idtr.base + event.vector * size;
  Gate gate{.low = Descriptor{load_system<std::uint64_t>(cpu, linear)}};
  if (gate.low.is_code_or_data()) refuse_gate(cpu, event);
  const unsigned type = gate.low.type();
  const bool is_32 = type == system_type::kInterruptGate32 || type == system_type::kTrapGate32;
  const bool is_16 = type == system_type::kInterruptGate16 || type == system_type::kTrapGate16;
  const bool is_task = type == system_type::kTaskGate;
  if (cpu.is_long() ? !is_32 : !(is_32 || is_16 || is_task)) refuse_gate(cpu, event);
  if (event.source == Source::Software && gate.low.dpl() < cpu.cpl) refuse_gate(cpu, event);
  if (!gate.low.is_present()) refuse_gate(cpu, event, Vector::Np);
  gate.offset = gate.low.gate_offset();
  if (cpu.is_long()) gate.offset |= std::uint64_t{load_system<std::uint32_t>(cpu, linear + 8)} << 32;
  if (is_16) gate.offset &= 0xffff;
  gate.is_trap = type == system_type::kTrapGate32 || type == system_type::kTrapGate16;
  gate.bytes = cpu.is_long() ? 8 : is_32 ? 4 : 2;
  return gate;
}

Descriptor check_handler_segment(Cpu& cpu, std::uint16_t selector, std::uint32_t external) {
  if (is_null(selector)) raise(cpu, Vector::Gp, external);
  const Descriptor code = read_descriptor(cpu, selector, Vector::Gp, external);
  const std::uint32_t error = (selector & 0xfffcu) | external;
  if (!code.is_code() || code.dpl() > cpu.cpl) raise(cpu, Vector::Gp, error);
  if (cpu.is_long() && (!code.is_long() || code.is_big())) raise(cpu, Vector::Gp, error);
  if (!code.is_present()) raise(cpu, Vector::Np, error);
  return code;
}

std::uint64_t pushed_flags(const Cpu& cpu, const Event& event) {
  const std::uint64_t value = get_rflags(cpu);
  // A fault's frame makes the instruction restart without its code breakpoint (SDM vol. 3, 17.3.1.1).
  const bool is_fault =
      event.source == Source::Exception && event.vector != 1 && event.vector != 8 && event.vector != 18;
  return is_fault ? value | rflags::kRf : value;
}

void enter_handler(Cpu& cpu, const Gate& gate, std::uint64_t offset) {
  std::uint64_t clear = rflags::kTf | rflags::kNt | rflags::kRf | rflags::kVm;
  if (!gate.is_trap) clear |= rflags::kIf;
  set_rflags(cpu, get_rflags(cpu) & ~clear);
  cpu.rip_base() = offset;
}

std::uint64_t long_stack(Cpu& cpu, const Gate& gate, unsigned level, std::uint32_t external) {
  const unsigned ist = gate.low.gate_ist();
  if (ist == 0 && level == cpu.cpl) return cpu.reg(Gpr::Rsp);
  const std::uint32_t offset = ist != 0 ? 36 + 8 * (ist - 1) : 4 + 8 * level;
  if (offset + 7 > cpu.arch.tr.limit) raise(cpu, Vector::Ts, (cpu.arch.tr.selector & 0xfffcu) | external);
  const auto pointer = load_system<std::uint64_t>(cpu, cpu.arch.tr.base + offset);
  if (!is_canonical(pointer)) raise(cpu, Vector::Ss, external);
  return pointer;
}

void deliver_long(Cpu& cpu, const Event& event, const Gate& gate) {
  const std::uint32_t external = external_bit(event);
  const std::uint16_t selector = gate.low.gate_selector();
  const Descriptor code = check_handler_segment(cpu, selector, external);
  const unsigned level = code.is_conforming() ? cpu.cpl : code.dpl();
  if (!is_canonical(gate.offset)) raise(cpu, Vector::Gp, external);
  const std::uint64_t top = long_stack(cpu, gate, level, external) & ~std::uint64_t{15};
  FrameWriter frame(cpu, 0, ~std::uint64_t{0}, top);
  frame.push(8, cpu.segment(SegmentName::Ss).selector);
  frame.push(8, cpu.reg(Gpr::Rsp));
  frame.push(8, pushed_flags(cpu, event));
  frame.push(8, cpu.segment(SegmentName::Cs).selector);
  frame.push(8, cpu.event_return_rip);
  if (event.has_error) frame.push(8, event.error);
  if (level != cpu.cpl) set_null_stack_segment(cpu, static_cast<std::uint16_t>(level), level);
  set_code_segment(cpu, selector, code, level);
  cpu.reg(Gpr::Rsp) = frame.offset();
  enter_handler(cpu, gate, gate.offset);
}

void push_frame(Cpu& cpu, const Event& event, FrameWriter& frame, unsigned bytes) {
  frame.push(bytes, pushed_flags(cpu, event));
  frame.push(bytes, cpu.segment(SegmentName::Cs).selector);
  frame.push(bytes, cpu.event_return_rip);
  if (event.has_error) frame.push(bytes, event.error);
}

void deliver_to_inner(Cpu& cpu, const Event& event, const Gate& gate, const Descriptor& code) {
  const std::uint32_t external = external_bit(event);
  const unsigned level = code.dpl();
  const InnerStack stack = inner_stack(cpu, level, external);
  const Descriptor segment = check_inner_stack(cpu, stack.selector, level, external);
  if (gate.offset > code.limit()) raise(cpu, Vector::Gp, external);
  FrameWriter frame(cpu, segment.base(), segment.is_big() ? 0xffffffff : 0xffff, stack.pointer);
  const bool from_v86 = cpu.is_v86();
  if (from_v86) {
    for (const SegmentName name : {SegmentName::Gs, SegmentName::Fs, SegmentName::Ds, SegmentName::Es})
      frame.push(gate.bytes, cpu.segment(name).selector);
  }
  frame.push(gate.bytes, cpu.segment(SegmentName::Ss).selector);
  frame.push(gate.bytes, cpu.reg(Gpr::Rsp));
  push_frame(cpu, event, frame, gate.bytes);
  if (from_v86) {
    set_rflags(cpu, get_rflags(cpu) & ~rflags::kVm);
    for (const SegmentName name : {SegmentName::Gs, SegmentName::Fs, SegmentName::Ds, SegmentName::Es})
      cpu.segment(name) = Segment{.base = 0, .limit = 0, .selector = 0, .attributes = 0};
  }
  set_stack_segment(cpu, stack.selector, segment, level);
  set_code_segment(cpu, gate.low.gate_selector(), code, level);
  set_stack_pointer(cpu, frame.offset(), stack_mask(cpu));
  enter_handler(cpu, gate, gate.offset);
}

void deliver_protected(Cpu& cpu, const Event& event, const Gate& gate) {
  const std::uint32_t external = external_bit(event);
  const Descriptor code = check_handler_segment(cpu, gate.low.gate_selector(), external);
  const bool inner = !code.is_conforming() && code.dpl() < cpu.cpl;
  if (cpu.is_v86() && (!inner || code.dpl() != 0))
    raise(cpu, Vector::Gp, (gate.low.gate_selector() & 0xfffcu) | external);
  if (inner) return deliver_to_inner(cpu, event, gate, code);
  if (gate.offset > code.limit()) raise(cpu, Vector::Gp, external);
  const std::uint64_t mask = stack_mask(cpu);
  FrameWriter frame(cpu, cpu.segment(SegmentName::Ss).base, mask, cpu.reg(Gpr::Rsp));
  push_frame(cpu, event, frame, gate.bytes);
  set_code_segment(cpu, gate.low.gate_selector(), code, cpu.cpl);
  set_stack_pointer(cpu, frame.offset(), mask);
  enter_handler(cpu, gate, gate.offset);
}

void deliver_real(Cpu& cpu, const Event& event) {
  if (event.vector * 4u + 3 > cpu.arch.idtr.limit) raise(cpu, Vector::Gp);
  const auto pointer = load_system<std::uint32_t>(cpu, cpu.arch.idtr.base + event.vector * 4u);
  StackCursor stack(cpu);
  stack.push(2, get_rflags(cpu));
  stack.push(2, cpu.segment(SegmentName::Cs).selector);
  stack.push(2, cpu.event_return_rip);
  stack.commit();
  load_real_segment(cpu, SegmentName::Cs, static_cast<std::uint16_t>(pointer >> 16));
  cpu.rip_base() = pointer & 0xffff;
  set_rflags(cpu, get_rflags(cpu) & ~(rflags::kIf | rflags::kTf | rflags::kAc | rflags::kRf));
}

}  // namespace

InnerStack inner_stack(Cpu& cpu, unsigned level, std::uint32_t external) {
  const bool is_32 = (cpu.arch.tr.attributes & 8) != 0;
  const std::uint32_t offset = is_32 ? 4 + 8 * level : 2 + 4 * level;
  const std::uint32_t pointer_bytes = is_32 ? 4 : 2;
  if (offset + pointer_bytes + 1 > cpu.arch.tr.limit) {
    raise(cpu, Vector::Ts, (cpu.arch.tr.selector & 0xfffcu) | external);
  }
  InnerStack stack;
  load_slow(cpu, cpu.arch.tr.base + offset, &stack.pointer, pointer_bytes, Intent::System);
  stack.selector = load_system<std::uint16_t>(cpu, cpu.arch.tr.base + offset + pointer_bytes);
  return stack;
}

Descriptor check_inner_stack(Cpu& cpu, std::uint16_t selector, unsigned level, std::uint32_t external) {
  if (is_null(selector)) raise(cpu, Vector::Ts, external);
  const Descriptor stack = read_descriptor(cpu, selector, Vector::Ts, external);
  const std::uint32_t error = (selector & 0xfffcu) | external;
  if ((selector & 3u) != level || stack.dpl() != level || !stack.is_writable_data())
    raise(cpu, Vector::Ts, error);
  if (!stack.is_present()) raise(cpu, Vector::Ss, error);
  return stack;
}

void deliver_event(Cpu& cpu) {
  const Event event = cpu.event;
  cpu.delivering = true;
  if (!cpu.is_protected()) {
    deliver_real(cpu, event);
  } else {
    const Gate gate = read_gate(cpu, event);
    if (gate.low.type() == system_type::kTaskGate) {
      deliver_through_task(cpu, gate.low.gate_selector(), event);
    } else if (cpu.is_long()) {
      deliver_long(cpu, event, gate);
    } else {
      deliver_protected(cpu, event, gate);
    }
  }
  cpu.delivering = false;
  cpu.event_pending = false;
}

}  // namespace berth::engine::soft
