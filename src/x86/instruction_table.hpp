// The one table of instructions that all engines share: which may be run on the host's own processor with its
// operands put elsewhere, which an engine has to carry out by itself, and which do not exist on berth's
// processors. Zydis decodes, and knows operands and flags.
#pragma once

#include <Zydis/Zydis.h>

#include <cstdint>
#include <span>

#include "x86/cpuid.hpp"

namespace berth::x86 {

// The registers an instruction works on, and so the bits of CR0, CR4 and XCR0 that may bar it.
enum class Unit : std::uint8_t { Integer = 0, X87 = 1, Mmx = 2, Sse = 4, Avx = 8, Wait = 16 };

enum class Execution : std::uint8_t {
  Native,   // computes on registers and one memory operand alone: the processor itself can be asked
  Engine,   // touches what user mode cannot, or more memory than one operand: semantics of our own
  Refused,  // #UD
};

enum class Privilege : std::uint8_t {
  Any,
  Kernel,  // #GP(0) unless CPL is 0
};

struct InstructionRow {
  ZydisMnemonic mnemonic;
  Execution execution;
  Privilege privilege = Privilege::Any;
};

// The instructions that are not Native, in the order of their mnemonics' numbers.
std::span<const InstructionRow> engine_instructions();

// Everything else goes by the extension it belongs to.
struct IsaRow {
  ZydisISASet set;
  Unit unit;
  FeatureBit feature;
};
std::span<const IsaRow> native_extensions();

struct Treatment {
  Execution execution = Execution::Refused;
  Privilege privilege = Privilege::Any;
  Unit unit = Unit::Integer;
};
Treatment treatment_of(const ZydisDecodedInstruction& instruction);

}  // namespace berth::x86
