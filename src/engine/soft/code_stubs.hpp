// The pieces of host code that all translated blocks share: the ways in and out.
#pragma once

#include "engine/soft/cpu.hpp"
#include "engine/soft/host_code.hpp"

namespace berth::engine::soft {

// Where the guest's registers are while translated code runs: each in the host's register of the same number,
// but for RSP, which lies in R9, and R9, R10 and R11, which stay in memory. The host's RSP points to the
// CodeContext; its R10 and R11 are for the code's own use.
inline constexpr unsigned kScratch = kR11, kSecond = kR10, kGuestStack = kR9;
inline constexpr unsigned kInMemory = 16;
constexpr unsigned home_of(unsigned guest) {
  if (guest == kRsp) return kGuestStack;
  return guest == kR9 || guest == kR10 || guest == kR11 ? kInMemory : guest;
}

constexpr HostAddress in_context(std::size_t offset) {
  return {.base = kRsp, .displacement = static_cast<std::int32_t>(offset)};
}
constexpr HostAddress gpr_in_context(unsigned guest) { return in_context(guest * 8); }

struct CodeStubs {
  // void(CodeContext*, const std::byte* code): C++ goes in; the flags are loaded.
  const std::byte* enter = nullptr;
  // Registers are in the context already: back to the C++ that entered.
  const std::byte* leave = nullptr;
  // Called, with an Op in kScratch, the block's place in its page in kSecond and the flags in the context:
  // execute_op(). Comes back with registers and flags loaded, or not at all.
  const std::byte* execute = nullptr;
  // Jumped to, with the flags in the context: interpret_rest().
  const std::byte* interpret = nullptr;
  // Jumped to, with the number of an exit in kScratch: take_exit().
  const std::byte* exit_with_flags = nullptr;        // they are the host's
  const std::byte* exit_with_flags_saved = nullptr;  // they are in the context
  // Called, by CodeContext::tlbs and whether to write, with an address in kScratch and its slot in kSecond:
  // fills the slot from the TLB. Not equal where the access is to be the Op's; loses kSecond.
  std::array<std::array<const std::byte*, 2>, 3> fill_slot{};
  // The same with the stack's page, and the bytes less one in kSecond.
  std::array<const std::byte*, 3> fill_stack{};
  // Called: loads the vector registers, and changes nothing else.
  const std::byte* load_vectors = nullptr;
};

CodeStubs make_stubs(HostCode& code);

// AX from and to NativeContext::flags, by way of a register that is lost.
void save_flags(HostCode& code, unsigned lost);
void load_flags(HostCode& code, unsigned lost);

// What the stubs call. Each gives the host's address to go on at.
const std::byte* execute_op(Cpu& cpu, const Op* op, std::uint32_t block_offset);
const std::byte* interpret_rest(Cpu& cpu);
const std::byte* take_exit(Cpu& cpu, std::uint64_t number);

}  // namespace berth::engine::soft
