#include "engine/soft/code_stubs.hpp"

namespace berth::engine::soft {
namespace {

constexpr unsigned kVectors = 16;

// VMOVUPS or MOVUPS between a vector register and the context, `shift` bytes above RSP.
void move_vector(HostCode& code, bool store, unsigned number, bool wide, std::size_t shift) {
  const std::size_t offset = offsetof(NativeContext, vector) + number * 32 + shift;
  const unsigned opcode = store ? 0x11 : 0x10;
  if (wide) {
    code.bytes({0xc5, (number < 8 ? 0x80u : 0u) | 0x7c, opcode});
  } else {
    code.bytes({0x40 | (number >> 3) << 2, 0x0f, opcode});
  }
  code.bytes({0x84 | (number & 7) << 3, 0x24});
  code.imm32(static_cast<std::int32_t>(offset));
}

bool has_wide_vectors() { return __builtin_cpu_supports("avx") != 0; }

void store_registers(HostCode& code) {
  for (unsigned guest = 0; guest < 16; ++guest) {
    if (home_of(guest) != kInMemory) code.store(home_of(guest), gpr_in_context(guest));
  }
  const bool wide = has_wide_vectors();
  code.compare32_with_zero(in_context(offsetof(CodeContext, vectors_loaded)));
  const std::size_t skip = code.jump_if(HostCode::kEqual);
  for (unsigned i = 0; i < kVectors; ++i) move_vector(code, true, i, wide, 0);
  code.store_immediate(0, in_context(offsetof(CodeContext, vectors_loaded)), false);
  if (wide) code.bytes({0xc5, 0xf8, 0x77});  // vzeroupper
  code.aim_here(skip);
}

void load_registers(HostCode& code) {
  for (unsigned guest = 0; guest < 16; ++guest) {
    if (home_of(guest) != kInMemory) code.load(home_of(guest), gpr_in_context(guest));
  }
}

// Calls function(cpu, kScratch, kSecond) on the stack of C++ and goes on at what it gives.
template <class Function>
void call_out(HostCode& code, Function* function) {
  store_registers(code);
  code.move(kRdi, kRsp);
  code.move(kRsi, kScratch);
  code.move(kRdx, kSecond);
  code.move(kRbx, kRsp);
  code.load(kRsp, in_context(offsetof(CodeContext, host_stack)));
  code.move_address(kRax, reinterpret_cast<const void*>(function));
  code.bytes({0xff, 0xd0});  // call rax
  code.move(kRsp, kRbx);
  code.move(kScratch, kRax);
  load_flags(code, kSecond);
  load_registers(code);
  code.jump_to_register(kScratch);
}

constexpr std::array<unsigned, 6> kCalleeSaved{kRbx, kRbp, 12, 13, 14, 15};

void make_enter(HostCode& code) {
  for (const unsigned reg : kCalleeSaved) code.push(reg);
  code.bytes({0x48, 0x83, 0xec, 0x08});  // sub rsp, 8: aligned for calls
  code.store(kRsp, {.base = kRdi, .displacement = offsetof(CodeContext, host_stack)});
  code.move(kScratch, kRsi);
  code.move(kRsp, kRdi);
  load_flags(code, kSecond);
  load_registers(code);
  code.jump_to_register(kScratch);
}

void make_leave(HostCode& code) {
  code.load(kRsp, in_context(offsetof(CodeContext, host_stack)));
  code.bytes({0x48, 0x83, 0xc4, 0x08});
  for (unsigned i = kCalleeSaved.size(); i-- > 0;) code.pop(kCalleeSaved[i]);
  code.bytes({0xc3});
}

// In a stub that is called: RSP is a return address below the context.
HostAddress in_callers_context(std::size_t offset, unsigned index = HostAddress::kNone, unsigned shift = 0) {
  constexpr std::size_t kReturnAddress = 8;
  HostAddress place = in_context(offset + kReturnAddress);
  place.index = index;
  place.shift = shift;
  return place;
}

void load_vectors(HostCode& code, bool wide) {
  constexpr std::size_t kReturnAddress = 8;
  for (unsigned i = 0; i < kVectors; ++i) move_vector(code, false, i, wide, kReturnAddress);
  code.store_immediate(1, in_context(offsetof(CodeContext, vectors_loaded) + kReturnAddress), false);
  code.bytes({0xc3});
}

// ECX becomes 0 where the upper halves of all vectors are; XMM0 and XMM1 are lost.
void compare_upper_halves(HostCode& code) {
  constexpr std::size_t kFirst = 8 + offsetof(NativeContext, vector) + 16;
  code.bytes({0x0f, 0x57, 0xc0, 0x0f, 0x57, 0xc9});  // xorps xmm0, xmm0; xorps xmm1, xmm1
  for (unsigned i = 0; i < kVectors; ++i) {
    code.bytes({0x0f, 0x56, 0x84, 0x24});  // orps xmm0, [rsp + ...]
    code.imm32(static_cast<std::int32_t>(kFirst + i * 32));
  }
  code.bytes({0x66, 0x0f, 0x74, 0xc1, 0x66, 0x0f, 0xd7, 0xc8});  // pcmpeqb xmm0, xmm1; pmovmskb ecx, xmm0
  code.lea(kRcx, {.base = kRcx, .displacement = -0xffff}, false);
}

// Upper halves that are zero are not loaded, but left in the state in which the processor knows that: else
// each SSE instruction, which keeps its target's, would wait for what was in the target before (4 times the
// time in loops, measured on Zen 5). No flags are touched.
void make_load_vectors(HostCode& code) {
  if (!has_wide_vectors()) return load_vectors(code, false);
  const HostAddress rcx = in_callers_context(offsetof(CodeContext, borrowed));
  code.store(kRcx, rcx);
  code.bytes({0xc5, 0xf8, 0x77});  // vzeroupper
  compare_upper_halves(code);
  code.bytes({0xe3, 5});  // jrcxz
  const std::size_t wide = code.jump();
  code.load(kRcx, rcx);
  load_vectors(code, false);
  code.aim_here(wide);
  code.load(kRcx, rcx);
  load_vectors(code, true);
}

constexpr HostAddress in_slot(std::size_t offset) {
  return {.base = kSecond, .displacement = static_cast<std::int32_t>(offset)};
}

void borrow(HostCode& code, bool give_back) {
  constexpr std::array<unsigned, 2> kBorrowed{kRax, kRcx};
  for (unsigned i = 0; i < kBorrowed.size(); ++i) {
    const HostAddress place = in_callers_context(offsetof(CodeContext, borrowed) + i * sizeof(std::uint64_t));
    give_back ? code.load(kBorrowed[i], place) : code.store(kBorrowed[i], place);
  }
}

// Enters the slot, the TLB's entry in RAX and the page in RCX, into the list it belongs to, if it is not
// there. The branch taken where that is full.
std::size_t list_slot(HostCode& code, std::size_t tlb) {
  constexpr std::size_t kLists = offsetof(CodeContext, slots) + offsetof(PageSlots, lists);
  constexpr HostAddress kListed = in_slot(offsetof(PageSlot, listed));
  const HostAddress count =
      in_callers_context(offsetof(CodeContext, slots) + offsetof(PageSlots, counts), kRax, 2);
  static_assert(PageSlots::kGlobal == 2);
  code.shift_right(kRax, 5);
  code.with_memory(0x0fb6, kRax, in_callers_context(tlb + offsetof(Tlb, is_global), kRax), false);
  code.shift_right(kRcx, 63);
  code.lea(kRax, {.base = kRcx, .index = kRax, .shift = 1});
  code.lea(kRcx, {.base = kRax, .displacement = 1});
  code.with_memory(0x38, kRcx, kListed, false);  // cmp
  const std::size_t listed = code.jump_if(HostCode::kEqual);
  code.with_memory(0x88, kRcx, kListed, false);  // mov
  code.with_memory(0x8b, kRcx, count, false);
  code.with_register(0x81, 7, kRcx, false);  // cmp
  code.imm32(PageSlots::kMost);
  const std::size_t full = code.jump_if(HostCode::kNotBelow);
  code.with_memory(0xff, 0, count, false);  // inc
  static_assert(PageSlots::kMost == 1 << 11);
  code.shift_left(kRax, 11);
  code.with_register(0x01, kRcx, kRax);  // add
  code.store(kSecond, in_callers_context(kLists, kRax, 3));
  code.aim_here(listed);
  return full;
}

HostAddress tlb_entry(std::size_t tlb, std::size_t field) {
  return in_callers_context(tlb + offsetof(Tlb, entries) + field, kRax);
}

// RAX becomes the offset of the TLB's entry for kScratch, RCX the page of the byte RCX behind. The branch
// taken where the entry does not allow it.
std::size_t look_up(HostCode& code, std::size_t tlb, bool write) {
  constexpr unsigned kEntryShift = 5;
  static_assert(sizeof(Tlb::Entry) == 1u << kEntryShift);
  code.move(kRax, kScratch);
  code.shift_right(kRax, 12 - kEntryShift);
  code.and_immediate(kRax, (Tlb::kEntries - 1) << kEntryShift, false);
  code.with_register(0x01, kScratch, kRcx);  // add
  code.and_immediate(kRcx, -4096);
  code.compare(kRcx, tlb_entry(tlb, write ? offsetof(Tlb::Entry, write) : offsetof(Tlb::Entry, read)));
  return code.jump_if(HostCode::kNotEqual);
}

void return_equal(HostCode& code) {
  borrow(code, true);
  code.with_register(0x39, kScratch, kScratch);  // cmp
  code.bytes({0xc3});
}
void return_not_equal(HostCode& code) {
  borrow(code, true);
  code.with_register(0x83, 1, kSecond);  // or
  code.bytes({1, 0xc3});
}

void make_fill_stack(HostCode& code, unsigned number) {
  const std::size_t tlb = offsetof(CodeContext, tlbs) + number * sizeof(Tlb);
  const std::size_t stack =
      offsetof(CodeContext, slots) + offsetof(PageSlots, stacks) + number * sizeof(StackPage);
  borrow(code, false);
  code.move(kRcx, kSecond);
  const std::size_t unknown = look_up(code, tlb, true);
  code.store(kRcx, in_callers_context(stack + offsetof(StackPage, page)));
  code.load(kRcx, tlb_entry(tlb, offsetof(Tlb::Entry, addend)));
  code.store(kRcx, in_callers_context(stack + offsetof(StackPage, addend)));
  for (unsigned i = 0; i < StackPage::kSizes; ++i)
    code.store_immediate(static_cast<std::int32_t>(StackPage::full_limit(i)),
                         in_callers_context(stack + offsetof(StackPage, limits) + i * 8));
  return_equal(code);
  code.aim_here(unknown);
  return_not_equal(code);
}

void make_fill_slot(HostCode& code, std::size_t tlb, bool write) {
  borrow(code, false);
  code.with_memory(0x0fb6, kRcx, in_slot(offsetof(PageSlot, alignment_mask)), false);
  code.with_register(0x21, kScratch, kRcx, false);  // and
  const std::size_t unaligned = code.jump_if(HostCode::kNotEqual);
  code.with_memory(0x0fb6, kRcx, in_slot(offsetof(PageSlot, last)), false);
  const std::size_t unknown = look_up(code, tlb, write);
  code.store(kRcx, in_slot(offsetof(PageSlot, page)));
  code.load(kRcx, tlb_entry(tlb, offsetof(Tlb::Entry, addend)));
  code.store(kRcx, in_slot(offsetof(PageSlot, addend)));
  code.load(kRcx, in_slot(offsetof(PageSlot, page)));
  const std::size_t full = list_slot(code, tlb);
  code.load16(kRcx, in_slot(offsetof(PageSlot, full_limit)));
  code.store(kRcx, in_slot(offsetof(PageSlot, limit)));
  code.with_memory(0xfe, 1, in_slot(offsetof(PageSlot, misses_left)), false);  // dec
  const std::size_t doubted = code.jump_if(HostCode::kNegative);
  return_equal(code);
  code.aim_here(doubted);
  code.store(kSecond, in_callers_context(offsetof(CodeContext, slots) + offsetof(PageSlots, doubted)));
  const std::size_t out = code.jump();
  code.aim_here(full);  // and not in a list, whatever it was before
  code.with_memory(0xc6, 0, in_slot(offsetof(PageSlot, listed)), false);
  code.bytes({0});
  code.store_immediate(0, in_slot(offsetof(PageSlot, limit)));
  for (const std::size_t branch : {unaligned, unknown, out}) code.aim_here(branch);
  return_not_equal(code);
}

}  // namespace

void save_flags(HostCode& code, unsigned lost) {
  code.move(lost, kRax);
  code.bytes({0x9f, 0x0f, 0x90, 0xc0});  // lahf; seto al
  code.store16(kRax, in_context(offsetof(NativeContext, flags)));
  code.move(kRax, lost);
}

void load_flags(HostCode& code, unsigned lost) {
  code.move(lost, kRax);
  code.load16(kRax, in_context(offsetof(NativeContext, flags)));
  code.bytes({0x04, 0x7f, 0x9e});  // add al, 127: sets OF from bit 0; sahf
  code.move(kRax, lost);
}

CodeStubs make_stubs(HostCode& code) {
  CodeStubs stubs;
  const auto here = [&code] { return code.address(code.at()); };
  stubs.enter = here();
  make_enter(code);
  stubs.leave = here();
  make_leave(code);
  stubs.execute = here();
  code.with_memory(0x8f, 0, in_context(offsetof(CodeContext, resume)));  // pop: RSP counts as popped
  call_out(code, execute_op);
  stubs.interpret = here();
  call_out(code, interpret_rest);
  stubs.exit_with_flags = here();
  save_flags(code, kSecond);
  stubs.exit_with_flags_saved = here();
  call_out(code, take_exit);
  for (unsigned tlb = 0; tlb < stubs.fill_slot.size(); ++tlb) {
    stubs.fill_stack[tlb] = here();
    make_fill_stack(code, tlb);
    for (const bool write : {false, true}) {
      stubs.fill_slot[tlb][write ? 1 : 0] = here();
      make_fill_slot(code, offsetof(CodeContext, tlbs) + tlb * sizeof(Tlb), write);
    }
  }
  stubs.load_vectors = here();
  make_load_vectors(code);
  return stubs;
}

}  // namespace berth::engine::soft
