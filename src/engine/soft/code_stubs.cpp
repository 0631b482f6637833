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

void make_load_vectors(HostCode& code) {
  constexpr std::size_t kReturnAddress = 8;
  for (unsigned i = 0; i < kVectors; ++i) move_vector(code, false, i, has_wide_vectors(), kReturnAddress);
  code.store_immediate(1, in_context(offsetof(CodeContext, vectors_loaded) + kReturnAddress), false);
  code.bytes({0xc3});
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
  stubs.load_vectors = here();
  make_load_vectors(code);
  return stubs;
}

}  // namespace berth::engine::soft
