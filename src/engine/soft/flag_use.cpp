#include "engine/soft/flag_use.hpp"

#include "x86/bits.hpp"

namespace berth::engine::soft {
namespace {

bool replaces_undefined(ZydisMnemonic mnemonic) {
  switch (mnemonic) {
    case ZYDIS_MNEMONIC_AND:
    case ZYDIS_MNEMONIC_OR:
    case ZYDIS_MNEMONIC_XOR:
    case ZYDIS_MNEMONIC_TEST:
      return true;
    default:
      return false;
  }
}

// With a count of zero these leave all flags as they are.
bool is_counted(ZydisMnemonic mnemonic) {
  switch (mnemonic) {
    case ZYDIS_MNEMONIC_SHL:
    case ZYDIS_MNEMONIC_SHR:
    case ZYDIS_MNEMONIC_SAR:
    case ZYDIS_MNEMONIC_SHLD:
    case ZYDIS_MNEMONIC_SHRD:
    case ZYDIS_MNEMONIC_ROL:
    case ZYDIS_MNEMONIC_ROR:
    case ZYDIS_MNEMONIC_RCL:
    case ZYDIS_MNEMONIC_RCR:
      return true;
    default:
      return false;
  }
}

bool has_fixed_count(const ZydisDecodedInstruction& instruction) {
  const auto& immediate = instruction.raw.imm[0];
  return immediate.size != 0 && (immediate.value.u & 31) != 0;
}

}  // namespace

FlagUse flag_use(const ZydisDecodedInstruction& instruction) {
  if (instruction.cpu_flags == nullptr) return {};
  constexpr auto kAll = static_cast<std::uint32_t>(x86::rflags::kArithmetic);
  const ZydisAccessedFlags& flags = *instruction.cpu_flags;
  const std::uint32_t defined = (flags.modified | flags.set_0 | flags.set_1) & kAll;
  const std::uint32_t undefined = flags.undefined & kAll;
  FlagUse use{.reads = flags.tested & kAll, .writes = defined | undefined, .replaces = defined};
  if (replaces_undefined(instruction.mnemonic)) use.replaces |= undefined;
  if (is_counted(instruction.mnemonic) && !has_fixed_count(instruction)) use.replaces = 0;
  return use;
}

}  // namespace berth::engine::soft
