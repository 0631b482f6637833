#include "allowed.hpp"

#include <algorithm>

#include "x86/instruction_table.hpp"

namespace berth::judge {
namespace {

// Those that leave ring 3, change what Linux keeps for the process, tell of the host's tables, or of its
// time, or store what the processor keeps of the last x87 instruction, which makers do differently.
constexpr auto kBarred = std::to_array<ZydisMnemonic>(
    {ZYDIS_MNEMONIC_INT,      ZYDIS_MNEMONIC_INT1,     ZYDIS_MNEMONIC_INTO,     ZYDIS_MNEMONIC_SYSCALL,
     ZYDIS_MNEMONIC_SYSENTER, ZYDIS_MNEMONIC_SYSRET,   ZYDIS_MNEMONIC_SYSEXIT,  ZYDIS_MNEMONIC_IRET,
     ZYDIS_MNEMONIC_IRETD,    ZYDIS_MNEMONIC_IRETQ,    ZYDIS_MNEMONIC_LFS,      ZYDIS_MNEMONIC_LGS,
     ZYDIS_MNEMONIC_LSS,      ZYDIS_MNEMONIC_CPUID,    ZYDIS_MNEMONIC_RDFSBASE, ZYDIS_MNEMONIC_RDGSBASE,
     ZYDIS_MNEMONIC_WRFSBASE, ZYDIS_MNEMONIC_WRGSBASE, ZYDIS_MNEMONIC_SGDT,     ZYDIS_MNEMONIC_SIDT,
     ZYDIS_MNEMONIC_SLDT,     ZYDIS_MNEMONIC_STR,      ZYDIS_MNEMONIC_SMSW,     ZYDIS_MNEMONIC_LAR,
     ZYDIS_MNEMONIC_LSL,      ZYDIS_MNEMONIC_VERR,     ZYDIS_MNEMONIC_VERW,     ZYDIS_MNEMONIC_RDTSC,
     ZYDIS_MNEMONIC_RDTSCP,   ZYDIS_MNEMONIC_RDPID,    ZYDIS_MNEMONIC_RDRAND,   ZYDIS_MNEMONIC_RDSEED,
     ZYDIS_MNEMONIC_RDPMC,    ZYDIS_MNEMONIC_XGETBV,   ZYDIS_MNEMONIC_XSAVE,    ZYDIS_MNEMONIC_XSAVE64,
     ZYDIS_MNEMONIC_XSAVEC,   ZYDIS_MNEMONIC_XSAVEC64, ZYDIS_MNEMONIC_XSAVEOPT, ZYDIS_MNEMONIC_XSAVEOPT64,
     ZYDIS_MNEMONIC_XRSTOR,   ZYDIS_MNEMONIC_XRSTOR64, ZYDIS_MNEMONIC_FXSAVE,   ZYDIS_MNEMONIC_FXSAVE64,
     ZYDIS_MNEMONIC_FNSAVE,   ZYDIS_MNEMONIC_FNSTENV,  ZYDIS_MNEMONIC_RDSSPD,   ZYDIS_MNEMONIC_RDSSPQ});

bool is_undefined(ZydisMnemonic mnemonic) {
  return mnemonic == ZYDIS_MNEMONIC_UD0 || mnemonic == ZYDIS_MNEMONIC_UD1 || mnemonic == ZYDIS_MNEMONIC_UD2;
}

bool loads_segment(const ZydisDecodedOperand& operand) {
  return operand.type == ZYDIS_OPERAND_TYPE_REGISTER &&
         (operand.actions & ZYDIS_OPERAND_ACTION_MASK_WRITE) != 0 &&
         ZydisRegisterGetClass(operand.reg.value) == ZYDIS_REGCLASS_SEGMENT;
}

bool uses_thread_segment(const ZydisDecodedOperand& operand) {
  return operand.type == ZYDIS_OPERAND_TYPE_MEMORY &&
         (operand.mem.segment == ZYDIS_REGISTER_FS || operand.mem.segment == ZYDIS_REGISTER_GS);
}

bool has_prefix(const ZydisDecodedInstruction& decoded, unsigned prefix) {
  for (unsigned i = 0; i < decoded.raw.prefix_count; ++i) {
    if (decoded.raw.prefixes[i].value == prefix) return true;
  }
  return false;
}

// What the manuals leave to the makers: near branches of 16 bits or with a prefix for strings (on which LOOPE
// of AMD's Zen 5 waits for the other flag), and prefetches of a register.
bool is_left_open(const ZydisDecodedInstruction& decoded) {
  const bool branches = decoded.meta.branch_type != ZYDIS_BRANCH_TYPE_NONE;
  if (branches && (has_prefix(decoded, 0x66) || has_prefix(decoded, 0xf2) || has_prefix(decoded, 0xf3)))
    return true;
  // Zydis 4.0 takes XCHG R8, RAX with REP for PAUSE.
  if (decoded.mnemonic == ZYDIS_MNEMONIC_PAUSE && decoded.raw.rex.B != 0) return true;
  return decoded.opcode_map == ZYDIS_OPCODE_MAP_0F && decoded.opcode == 0x0d && decoded.raw.modrm.mod == 3;
}

}  // namespace

bool is_direct_branch(const Instruction& instruction) {
  return instruction.decoded.meta.branch_type != ZYDIS_BRANCH_TYPE_NONE &&
         instruction.operands[0].type == ZYDIS_OPERAND_TYPE_IMMEDIATE &&
         instruction.operands[0].imm.is_relative != 0;
}

bool is_allowed(const Instruction& instruction) {
  const ZydisDecodedInstruction& decoded = instruction.decoded;
  const bool is_offered = x86::treatment_of(decoded).execution != x86::Execution::Refused;
  if (!is_offered && !is_undefined(decoded.mnemonic)) return false;
  if (decoded.meta.branch_type == ZYDIS_BRANCH_TYPE_FAR || is_left_open(decoded)) return false;
  if (std::find(kBarred.begin(), kBarred.end(), decoded.mnemonic) != kBarred.end()) return false;
  const auto first = instruction.operands.begin(), last = first + decoded.operand_count;
  return std::none_of(first, last, loads_segment) && std::none_of(first, last, uses_thread_segment);
}

// AMD's SHA wants no alignment. What is masked off may fault or not. MMX becomes the x87's state before a
// fault, or does not. Which of several faults comes first is not the same for calls, ENTER and FXRSTOR. AMD's
// MXCSR has a bit more.
bool faults_alike(const Instruction& instruction) {
  const ZydisDecodedInstruction& decoded = instruction.decoded;
  constexpr auto kOpen = std::to_array<ZydisMnemonic>(
      {ZYDIS_MNEMONIC_MASKMOVQ, ZYDIS_MNEMONIC_MASKMOVDQU, ZYDIS_MNEMONIC_VMASKMOVDQU,
       ZYDIS_MNEMONIC_VMASKMOVPS, ZYDIS_MNEMONIC_VMASKMOVPD, ZYDIS_MNEMONIC_VPMASKMOVD,
       ZYDIS_MNEMONIC_VPMASKMOVQ, ZYDIS_MNEMONIC_CALL, ZYDIS_MNEMONIC_ENTER, ZYDIS_MNEMONIC_FXRSTOR,
       ZYDIS_MNEMONIC_FXRSTOR64, ZYDIS_MNEMONIC_FLDENV, ZYDIS_MNEMONIC_FRSTOR, ZYDIS_MNEMONIC_LDMXCSR,
       ZYDIS_MNEMONIC_VLDMXCSR, ZYDIS_MNEMONIC_DPPS, ZYDIS_MNEMONIC_DPPD, ZYDIS_MNEMONIC_VDPPS,
       ZYDIS_MNEMONIC_VDPPD});
  if (decoded.meta.isa_set == ZYDIS_ISA_SET_SHA || decoded.meta.isa_set == ZYDIS_ISA_SET_AVX2GATHER)
    return false;
  if (std::find(kOpen.begin(), kOpen.end(), decoded.mnemonic) != kOpen.end()) return false;
  const auto is_mmx = [](const ZydisDecodedOperand& operand) {
    return operand.type == ZYDIS_OPERAND_TYPE_REGISTER &&
           ZydisRegisterGetClass(operand.reg.value) == ZYDIS_REGCLASS_MMX;
  };
  return std::none_of(instruction.operands.begin(), instruction.operands.begin() + decoded.operand_count,
                      is_mmx);
}

}  // namespace berth::judge
