#include "x86/instruction_table.hpp"

#include <algorithm>
#include <array>

namespace berth::x86 {
namespace {

// clang-format off
constexpr auto kInstructions = std::to_array<InstructionRow>({
    {ZYDIS_MNEMONIC_AAA, Execution::Engine},
    {ZYDIS_MNEMONIC_AAD, Execution::Engine},
    {ZYDIS_MNEMONIC_AAM, Execution::Engine},
    {ZYDIS_MNEMONIC_AAS, Execution::Engine},
    {ZYDIS_MNEMONIC_ADC, Execution::Engine},
    {ZYDIS_MNEMONIC_ADD, Execution::Engine},
    {ZYDIS_MNEMONIC_AND, Execution::Engine},
    {ZYDIS_MNEMONIC_ARPL, Execution::Engine},
    {ZYDIS_MNEMONIC_BOUND, Execution::Engine},
    {ZYDIS_MNEMONIC_BT, Execution::Engine},
    {ZYDIS_MNEMONIC_BTC, Execution::Engine},
    {ZYDIS_MNEMONIC_BTR, Execution::Engine},
    {ZYDIS_MNEMONIC_BTS, Execution::Engine},
    {ZYDIS_MNEMONIC_CALL, Execution::Engine},
    {ZYDIS_MNEMONIC_CBW, Execution::Engine},
    {ZYDIS_MNEMONIC_CDQ, Execution::Engine},
    {ZYDIS_MNEMONIC_CDQE, Execution::Engine},
    {ZYDIS_MNEMONIC_CLAC, Execution::Engine},
    {ZYDIS_MNEMONIC_CLC, Execution::Engine},
    {ZYDIS_MNEMONIC_CLD, Execution::Engine},
    {ZYDIS_MNEMONIC_CLFLUSH, Execution::Engine},
    {ZYDIS_MNEMONIC_CLFLUSHOPT, Execution::Engine},
    {ZYDIS_MNEMONIC_CLI, Execution::Engine},
    {ZYDIS_MNEMONIC_CLTS, Execution::Engine, Privilege::Kernel},
    {ZYDIS_MNEMONIC_CLWB, Execution::Engine},
    {ZYDIS_MNEMONIC_CMC, Execution::Engine},
    {ZYDIS_MNEMONIC_CMOVB, Execution::Engine},
    {ZYDIS_MNEMONIC_CMOVBE, Execution::Engine},
    {ZYDIS_MNEMONIC_CMOVL, Execution::Engine},
    {ZYDIS_MNEMONIC_CMOVLE, Execution::Engine},
    {ZYDIS_MNEMONIC_CMOVNB, Execution::Engine},
    {ZYDIS_MNEMONIC_CMOVNBE, Execution::Engine},
    {ZYDIS_MNEMONIC_CMOVNL, Execution::Engine},
    {ZYDIS_MNEMONIC_CMOVNLE, Execution::Engine},
    {ZYDIS_MNEMONIC_CMOVNO, Execution::Engine},
    {ZYDIS_MNEMONIC_CMOVNP, Execution::Engine},
    {ZYDIS_MNEMONIC_CMOVNS, Execution::Engine},
    {ZYDIS_MNEMONIC_CMOVNZ, Execution::Engine},
    {ZYDIS_MNEMONIC_CMOVO, Execution::Engine},
    {ZYDIS_MNEMONIC_CMOVP, Execution::Engine},
    {ZYDIS_MNEMONIC_CMOVS, Execution::Engine},
    {ZYDIS_MNEMONIC_CMOVZ, Execution::Engine},
    {ZYDIS_MNEMONIC_CMP, Execution::Engine},
    {ZYDIS_MNEMONIC_CMPSB, Execution::Engine},
    {ZYDIS_MNEMONIC_CMPSD, Execution::Engine},
    {ZYDIS_MNEMONIC_CMPSQ, Execution::Engine},
    {ZYDIS_MNEMONIC_CMPSW, Execution::Engine},
    {ZYDIS_MNEMONIC_CPUID, Execution::Engine},
    {ZYDIS_MNEMONIC_CQO, Execution::Engine},
    {ZYDIS_MNEMONIC_CWD, Execution::Engine},
    {ZYDIS_MNEMONIC_CWDE, Execution::Engine},
    {ZYDIS_MNEMONIC_DAA, Execution::Engine},
    {ZYDIS_MNEMONIC_DAS, Execution::Engine},
    {ZYDIS_MNEMONIC_DEC, Execution::Engine},
    {ZYDIS_MNEMONIC_DIV, Execution::Engine},
    {ZYDIS_MNEMONIC_ENTER, Execution::Engine},
    {ZYDIS_MNEMONIC_FLDENV, Execution::Engine},
    {ZYDIS_MNEMONIC_FNSAVE, Execution::Engine},
    {ZYDIS_MNEMONIC_FNSTENV, Execution::Engine},
    {ZYDIS_MNEMONIC_FRSTOR, Execution::Engine},
    {ZYDIS_MNEMONIC_FXRSTOR, Execution::Engine},
    {ZYDIS_MNEMONIC_FXRSTOR64, Execution::Engine},
    {ZYDIS_MNEMONIC_FXSAVE, Execution::Engine},
    {ZYDIS_MNEMONIC_FXSAVE64, Execution::Engine},
    {ZYDIS_MNEMONIC_HLT, Execution::Engine, Privilege::Kernel},
    {ZYDIS_MNEMONIC_IDIV, Execution::Engine},
    {ZYDIS_MNEMONIC_IN, Execution::Engine},
    {ZYDIS_MNEMONIC_INC, Execution::Engine},
    {ZYDIS_MNEMONIC_INSB, Execution::Engine},
    {ZYDIS_MNEMONIC_INSD, Execution::Engine},
    {ZYDIS_MNEMONIC_INSW, Execution::Engine},
    {ZYDIS_MNEMONIC_INT, Execution::Engine},
    {ZYDIS_MNEMONIC_INT1, Execution::Engine},
    {ZYDIS_MNEMONIC_INT3, Execution::Engine},
    {ZYDIS_MNEMONIC_INTO, Execution::Engine},
    {ZYDIS_MNEMONIC_INVD, Execution::Engine, Privilege::Kernel},
    {ZYDIS_MNEMONIC_INVLPG, Execution::Engine, Privilege::Kernel},
    {ZYDIS_MNEMONIC_INVPCID, Execution::Engine, Privilege::Kernel},
    {ZYDIS_MNEMONIC_IRET, Execution::Engine},
    {ZYDIS_MNEMONIC_IRETD, Execution::Engine},
    {ZYDIS_MNEMONIC_IRETQ, Execution::Engine},
    {ZYDIS_MNEMONIC_JB, Execution::Engine},
    {ZYDIS_MNEMONIC_JBE, Execution::Engine},
    {ZYDIS_MNEMONIC_JCXZ, Execution::Engine},
    {ZYDIS_MNEMONIC_JECXZ, Execution::Engine},
    {ZYDIS_MNEMONIC_JKNZD, Execution::Refused},
    {ZYDIS_MNEMONIC_JKZD, Execution::Refused},
    {ZYDIS_MNEMONIC_JL, Execution::Engine},
    {ZYDIS_MNEMONIC_JLE, Execution::Engine},
    {ZYDIS_MNEMONIC_JMP, Execution::Engine},
    {ZYDIS_MNEMONIC_JNB, Execution::Engine},
    {ZYDIS_MNEMONIC_JNBE, Execution::Engine},
    {ZYDIS_MNEMONIC_JNL, Execution::Engine},
    {ZYDIS_MNEMONIC_JNLE, Execution::Engine},
    {ZYDIS_MNEMONIC_JNO, Execution::Engine},
    {ZYDIS_MNEMONIC_JNP, Execution::Engine},
    {ZYDIS_MNEMONIC_JNS, Execution::Engine},
    {ZYDIS_MNEMONIC_JNZ, Execution::Engine},
    {ZYDIS_MNEMONIC_JO, Execution::Engine},
    {ZYDIS_MNEMONIC_JP, Execution::Engine},
    {ZYDIS_MNEMONIC_JRCXZ, Execution::Engine},
    {ZYDIS_MNEMONIC_JS, Execution::Engine},
    {ZYDIS_MNEMONIC_JZ, Execution::Engine},
    {ZYDIS_MNEMONIC_LAHF, Execution::Engine},
    {ZYDIS_MNEMONIC_LAR, Execution::Engine},
    {ZYDIS_MNEMONIC_LDMXCSR, Execution::Engine},
    {ZYDIS_MNEMONIC_LDS, Execution::Engine},
    {ZYDIS_MNEMONIC_LEA, Execution::Engine},
    {ZYDIS_MNEMONIC_LEAVE, Execution::Engine},
    {ZYDIS_MNEMONIC_LES, Execution::Engine},
    {ZYDIS_MNEMONIC_LFENCE, Execution::Engine},
    {ZYDIS_MNEMONIC_LFS, Execution::Engine},
    {ZYDIS_MNEMONIC_LGDT, Execution::Engine, Privilege::Kernel},
    {ZYDIS_MNEMONIC_LGS, Execution::Engine},
    {ZYDIS_MNEMONIC_LIDT, Execution::Engine, Privilege::Kernel},
    {ZYDIS_MNEMONIC_LLDT, Execution::Engine, Privilege::Kernel},
    {ZYDIS_MNEMONIC_LMSW, Execution::Engine, Privilege::Kernel},
    {ZYDIS_MNEMONIC_LODSB, Execution::Engine},
    {ZYDIS_MNEMONIC_LODSD, Execution::Engine},
    {ZYDIS_MNEMONIC_LODSQ, Execution::Engine},
    {ZYDIS_MNEMONIC_LODSW, Execution::Engine},
    {ZYDIS_MNEMONIC_LOOP, Execution::Engine},
    {ZYDIS_MNEMONIC_LOOPE, Execution::Engine},
    {ZYDIS_MNEMONIC_LOOPNE, Execution::Engine},
    {ZYDIS_MNEMONIC_LSL, Execution::Engine},
    {ZYDIS_MNEMONIC_LSS, Execution::Engine},
    {ZYDIS_MNEMONIC_LTR, Execution::Engine, Privilege::Kernel},
    {ZYDIS_MNEMONIC_MASKMOVDQU, Execution::Engine},
    {ZYDIS_MNEMONIC_MASKMOVQ, Execution::Engine},
    {ZYDIS_MNEMONIC_MFENCE, Execution::Engine},
    {ZYDIS_MNEMONIC_MOV, Execution::Engine},
    {ZYDIS_MNEMONIC_MOVNTI, Execution::Engine},
    {ZYDIS_MNEMONIC_MOVSB, Execution::Engine},
    {ZYDIS_MNEMONIC_MOVSD, Execution::Engine},
    {ZYDIS_MNEMONIC_MOVSQ, Execution::Engine},
    {ZYDIS_MNEMONIC_MOVSW, Execution::Engine},
    {ZYDIS_MNEMONIC_MOVSX, Execution::Engine},
    {ZYDIS_MNEMONIC_MOVSXD, Execution::Engine},
    {ZYDIS_MNEMONIC_MOVZX, Execution::Engine},
    {ZYDIS_MNEMONIC_NEG, Execution::Engine},
    {ZYDIS_MNEMONIC_NOP, Execution::Engine},
    {ZYDIS_MNEMONIC_NOT, Execution::Engine},
    {ZYDIS_MNEMONIC_OR, Execution::Engine},
    {ZYDIS_MNEMONIC_OUT, Execution::Engine},
    {ZYDIS_MNEMONIC_OUTSB, Execution::Engine},
    {ZYDIS_MNEMONIC_OUTSD, Execution::Engine},
    {ZYDIS_MNEMONIC_OUTSW, Execution::Engine},
    {ZYDIS_MNEMONIC_PAUSE, Execution::Engine},
    {ZYDIS_MNEMONIC_POP, Execution::Engine},
    {ZYDIS_MNEMONIC_POPA, Execution::Engine},
    {ZYDIS_MNEMONIC_POPAD, Execution::Engine},
    {ZYDIS_MNEMONIC_POPF, Execution::Engine},
    {ZYDIS_MNEMONIC_POPFD, Execution::Engine},
    {ZYDIS_MNEMONIC_POPFQ, Execution::Engine},
    {ZYDIS_MNEMONIC_PREFETCH, Execution::Engine},
    {ZYDIS_MNEMONIC_PREFETCHNTA, Execution::Engine},
    {ZYDIS_MNEMONIC_PREFETCHT0, Execution::Engine},
    {ZYDIS_MNEMONIC_PREFETCHT1, Execution::Engine},
    {ZYDIS_MNEMONIC_PREFETCHT2, Execution::Engine},
    {ZYDIS_MNEMONIC_PREFETCHW, Execution::Engine},
    {ZYDIS_MNEMONIC_PUSH, Execution::Engine},
    {ZYDIS_MNEMONIC_PUSHA, Execution::Engine},
    {ZYDIS_MNEMONIC_PUSHAD, Execution::Engine},
    {ZYDIS_MNEMONIC_PUSHF, Execution::Engine},
    {ZYDIS_MNEMONIC_PUSHFD, Execution::Engine},
    {ZYDIS_MNEMONIC_PUSHFQ, Execution::Engine},
    {ZYDIS_MNEMONIC_RCL, Execution::Engine},
    {ZYDIS_MNEMONIC_RCR, Execution::Engine},
    {ZYDIS_MNEMONIC_RDFSBASE, Execution::Engine},
    {ZYDIS_MNEMONIC_RDGSBASE, Execution::Engine},
    {ZYDIS_MNEMONIC_RDMSR, Execution::Engine, Privilege::Kernel},
    {ZYDIS_MNEMONIC_RDPID, Execution::Engine},
    {ZYDIS_MNEMONIC_RDPMC, Execution::Refused},
    {ZYDIS_MNEMONIC_RDTSC, Execution::Engine},
    {ZYDIS_MNEMONIC_RDTSCP, Execution::Engine},
    {ZYDIS_MNEMONIC_RET, Execution::Engine},
    {ZYDIS_MNEMONIC_ROL, Execution::Engine},
    {ZYDIS_MNEMONIC_ROR, Execution::Engine},
    {ZYDIS_MNEMONIC_RSM, Execution::Refused},
    {ZYDIS_MNEMONIC_SAHF, Execution::Engine},
    {ZYDIS_MNEMONIC_SALC, Execution::Engine},
    {ZYDIS_MNEMONIC_SAR, Execution::Engine},
    {ZYDIS_MNEMONIC_SBB, Execution::Engine},
    {ZYDIS_MNEMONIC_SCASB, Execution::Engine},
    {ZYDIS_MNEMONIC_SCASD, Execution::Engine},
    {ZYDIS_MNEMONIC_SCASQ, Execution::Engine},
    {ZYDIS_MNEMONIC_SCASW, Execution::Engine},
    {ZYDIS_MNEMONIC_SETB, Execution::Engine},
    {ZYDIS_MNEMONIC_SETBE, Execution::Engine},
    {ZYDIS_MNEMONIC_SETL, Execution::Engine},
    {ZYDIS_MNEMONIC_SETLE, Execution::Engine},
    {ZYDIS_MNEMONIC_SETNB, Execution::Engine},
    {ZYDIS_MNEMONIC_SETNBE, Execution::Engine},
    {ZYDIS_MNEMONIC_SETNL, Execution::Engine},
    {ZYDIS_MNEMONIC_SETNLE, Execution::Engine},
    {ZYDIS_MNEMONIC_SETNO, Execution::Engine},
    {ZYDIS_MNEMONIC_SETNP, Execution::Engine},
    {ZYDIS_MNEMONIC_SETNS, Execution::Engine},
    {ZYDIS_MNEMONIC_SETNZ, Execution::Engine},
    {ZYDIS_MNEMONIC_SETO, Execution::Engine},
    {ZYDIS_MNEMONIC_SETP, Execution::Engine},
    {ZYDIS_MNEMONIC_SETS, Execution::Engine},
    {ZYDIS_MNEMONIC_SETZ, Execution::Engine},
    {ZYDIS_MNEMONIC_SFENCE, Execution::Engine},
    {ZYDIS_MNEMONIC_SGDT, Execution::Engine},
    {ZYDIS_MNEMONIC_SHL, Execution::Engine},
    {ZYDIS_MNEMONIC_SHR, Execution::Engine},
    {ZYDIS_MNEMONIC_SIDT, Execution::Engine},
    {ZYDIS_MNEMONIC_SLDT, Execution::Engine},
    {ZYDIS_MNEMONIC_SMSW, Execution::Engine},
    {ZYDIS_MNEMONIC_STAC, Execution::Engine},
    {ZYDIS_MNEMONIC_STC, Execution::Engine},
    {ZYDIS_MNEMONIC_STD, Execution::Engine},
    {ZYDIS_MNEMONIC_STI, Execution::Engine},
    {ZYDIS_MNEMONIC_STMXCSR, Execution::Engine},
    {ZYDIS_MNEMONIC_STOSB, Execution::Engine},
    {ZYDIS_MNEMONIC_STOSD, Execution::Engine},
    {ZYDIS_MNEMONIC_STOSQ, Execution::Engine},
    {ZYDIS_MNEMONIC_STOSW, Execution::Engine},
    {ZYDIS_MNEMONIC_STR, Execution::Engine},
    {ZYDIS_MNEMONIC_SUB, Execution::Engine},
    {ZYDIS_MNEMONIC_SWAPGS, Execution::Engine, Privilege::Kernel},
    {ZYDIS_MNEMONIC_SYSCALL, Execution::Engine},
    {ZYDIS_MNEMONIC_SYSENTER, Execution::Engine},
    {ZYDIS_MNEMONIC_SYSEXIT, Execution::Engine, Privilege::Kernel},
    {ZYDIS_MNEMONIC_SYSRET, Execution::Engine, Privilege::Kernel},
    {ZYDIS_MNEMONIC_TEST, Execution::Engine},
    {ZYDIS_MNEMONIC_UD0, Execution::Refused},
    {ZYDIS_MNEMONIC_UD1, Execution::Refused},
    {ZYDIS_MNEMONIC_UD2, Execution::Refused},
    {ZYDIS_MNEMONIC_VERR, Execution::Engine},
    {ZYDIS_MNEMONIC_VERW, Execution::Engine},
    {ZYDIS_MNEMONIC_VGATHERDPD, Execution::Engine},
    {ZYDIS_MNEMONIC_VGATHERDPS, Execution::Engine},
    {ZYDIS_MNEMONIC_VGATHERQPD, Execution::Engine},
    {ZYDIS_MNEMONIC_VGATHERQPS, Execution::Engine},
    {ZYDIS_MNEMONIC_VLDMXCSR, Execution::Engine},
    {ZYDIS_MNEMONIC_VMASKMOVDQU, Execution::Engine},
    {ZYDIS_MNEMONIC_VMASKMOVPD, Execution::Engine},
    {ZYDIS_MNEMONIC_VMASKMOVPS, Execution::Engine},
    {ZYDIS_MNEMONIC_VPGATHERDD, Execution::Engine},
    {ZYDIS_MNEMONIC_VPGATHERDQ, Execution::Engine},
    {ZYDIS_MNEMONIC_VPGATHERQD, Execution::Engine},
    {ZYDIS_MNEMONIC_VPGATHERQQ, Execution::Engine},
    {ZYDIS_MNEMONIC_VPMASKMOVD, Execution::Engine},
    {ZYDIS_MNEMONIC_VPMASKMOVQ, Execution::Engine},
    {ZYDIS_MNEMONIC_VSTMXCSR, Execution::Engine},
    {ZYDIS_MNEMONIC_VZEROALL, Execution::Engine},
    {ZYDIS_MNEMONIC_VZEROUPPER, Execution::Engine},
    {ZYDIS_MNEMONIC_WBINVD, Execution::Engine, Privilege::Kernel},
    {ZYDIS_MNEMONIC_WRFSBASE, Execution::Engine},
    {ZYDIS_MNEMONIC_WRGSBASE, Execution::Engine},
    {ZYDIS_MNEMONIC_WRMSR, Execution::Engine, Privilege::Kernel},
    {ZYDIS_MNEMONIC_XCHG, Execution::Engine},
    {ZYDIS_MNEMONIC_XGETBV, Execution::Engine},
    {ZYDIS_MNEMONIC_XLAT, Execution::Engine},
    {ZYDIS_MNEMONIC_XOR, Execution::Engine},
    {ZYDIS_MNEMONIC_XRSTOR, Execution::Engine},
    {ZYDIS_MNEMONIC_XRSTOR64, Execution::Engine},
    {ZYDIS_MNEMONIC_XSAVE, Execution::Engine},
    {ZYDIS_MNEMONIC_XSAVE64, Execution::Engine},
    {ZYDIS_MNEMONIC_XSAVEC, Execution::Engine},
    {ZYDIS_MNEMONIC_XSAVEC64, Execution::Engine},
    {ZYDIS_MNEMONIC_XSAVEOPT, Execution::Engine},
    {ZYDIS_MNEMONIC_XSAVEOPT64, Execution::Engine},
    {ZYDIS_MNEMONIC_XSETBV, Execution::Engine, Privilege::Kernel},
});

constexpr auto kExtensions = std::to_array<IsaRow>({
    {ZYDIS_ISA_SET_ADOX_ADCX, Unit::Integer, {7, CpuidRegister::Ebx, 19}},
    {ZYDIS_ISA_SET_AES, Unit::Sse, {1, CpuidRegister::Ecx, 25}},
    {ZYDIS_ISA_SET_AVX, Unit::Avx, {1, CpuidRegister::Ecx, 28}},
    {ZYDIS_ISA_SET_AVX2, Unit::Avx, {7, CpuidRegister::Ebx, 5}},
    {ZYDIS_ISA_SET_AVX2GATHER, Unit::Avx, {7, CpuidRegister::Ebx, 5}},
    {ZYDIS_ISA_SET_AVXAES, Unit::Avx, {1, CpuidRegister::Ecx, 25}},
    {ZYDIS_ISA_SET_AVX_GFNI, Unit::Avx, {7, CpuidRegister::Ecx, 8}},
    {ZYDIS_ISA_SET_BMI1, Unit::Integer, {7, CpuidRegister::Ebx, 3}},
    {ZYDIS_ISA_SET_BMI2, Unit::Integer, {7, CpuidRegister::Ebx, 8}},
    {ZYDIS_ISA_SET_CLFLUSHOPT, Unit::Integer, {7, CpuidRegister::Ebx, 23}},
    {ZYDIS_ISA_SET_CLFSH, Unit::Integer, {1, CpuidRegister::Edx, 19}},
    {ZYDIS_ISA_SET_CLWB, Unit::Integer, {7, CpuidRegister::Ebx, 24}},
    {ZYDIS_ISA_SET_CMOV, Unit::Integer, {1, CpuidRegister::Edx, 15}},
    {ZYDIS_ISA_SET_CMPXCHG16B, Unit::Integer, {1, CpuidRegister::Ecx, 13}},
    {ZYDIS_ISA_SET_F16C, Unit::Avx, {1, CpuidRegister::Ecx, 29}},
    {ZYDIS_ISA_SET_FAT_NOP, Unit::Integer, {}},
    {ZYDIS_ISA_SET_FCMOV, Unit::X87, {1, CpuidRegister::Edx, 15}},
    {ZYDIS_ISA_SET_FMA, Unit::Avx, {1, CpuidRegister::Ecx, 12}},
    {ZYDIS_ISA_SET_FXSAVE, Unit::X87, {1, CpuidRegister::Edx, 24}},
    {ZYDIS_ISA_SET_FXSAVE64, Unit::X87, {1, CpuidRegister::Edx, 24}},
    {ZYDIS_ISA_SET_GFNI, Unit::Sse, {7, CpuidRegister::Ecx, 8}},
    {ZYDIS_ISA_SET_I186, Unit::Integer, {}},
    {ZYDIS_ISA_SET_I286PROTECTED, Unit::Integer, {}},
    {ZYDIS_ISA_SET_I286REAL, Unit::Integer, {}},
    {ZYDIS_ISA_SET_I386, Unit::Integer, {}},
    {ZYDIS_ISA_SET_I486, Unit::Integer, {}},
    {ZYDIS_ISA_SET_I486REAL, Unit::Integer, {}},
    {ZYDIS_ISA_SET_I86, Unit::Integer, {}},
    {ZYDIS_ISA_SET_INVPCID, Unit::Integer, {7, CpuidRegister::Ebx, 10}},
    {ZYDIS_ISA_SET_LAHF, Unit::Integer, {0x80000001, CpuidRegister::Ecx, 0}},
    {ZYDIS_ISA_SET_LONGMODE, Unit::Integer, {}},
    {ZYDIS_ISA_SET_LZCNT, Unit::Integer, {0x80000001, CpuidRegister::Ecx, 5}},
    {ZYDIS_ISA_SET_MOVBE, Unit::Integer, {1, CpuidRegister::Ecx, 22}},
    {ZYDIS_ISA_SET_PAUSE, Unit::Integer, {}},
    {ZYDIS_ISA_SET_PCLMULQDQ, Unit::Sse, {1, CpuidRegister::Ecx, 1}},
    {ZYDIS_ISA_SET_PENTIUMMMX, Unit::Mmx, {1, CpuidRegister::Edx, 23}},
    {ZYDIS_ISA_SET_PENTIUMREAL, Unit::Integer, {}},
    {ZYDIS_ISA_SET_POPCNT, Unit::Integer, {1, CpuidRegister::Ecx, 23}},
    {ZYDIS_ISA_SET_PPRO, Unit::Integer, {}},
    {ZYDIS_ISA_SET_PREFETCH_NOP, Unit::Integer, {}},
    {ZYDIS_ISA_SET_RDPID, Unit::Integer, {7, CpuidRegister::Ecx, 22}},
    {ZYDIS_ISA_SET_RDRAND, Unit::Integer, {1, CpuidRegister::Ecx, 30}},
    {ZYDIS_ISA_SET_RDSEED, Unit::Integer, {7, CpuidRegister::Ebx, 18}},
    {ZYDIS_ISA_SET_RDTSCP, Unit::Integer, {0x80000001, CpuidRegister::Edx, 27}},
    {ZYDIS_ISA_SET_RDWRFSGS, Unit::Integer, {7, CpuidRegister::Ebx, 0}},
    {ZYDIS_ISA_SET_SHA, Unit::Sse, {7, CpuidRegister::Ebx, 29}},
    {ZYDIS_ISA_SET_SMAP, Unit::Integer, {7, CpuidRegister::Ebx, 20}},
    {ZYDIS_ISA_SET_SSE, Unit::Sse, {1, CpuidRegister::Edx, 25}},
    {ZYDIS_ISA_SET_SSE2, Unit::Sse, {1, CpuidRegister::Edx, 26}},
    {ZYDIS_ISA_SET_SSE2MMX, Unit::Mmx, {1, CpuidRegister::Edx, 26}},
    {ZYDIS_ISA_SET_SSE3, Unit::Sse, {1, CpuidRegister::Ecx, 0}},
    {ZYDIS_ISA_SET_SSE3X87, Unit::X87, {1, CpuidRegister::Ecx, 0}},
    {ZYDIS_ISA_SET_SSE4, Unit::Sse, {1, CpuidRegister::Ecx, 19}},
    {ZYDIS_ISA_SET_SSE42, Unit::Sse, {1, CpuidRegister::Ecx, 20}},
    {ZYDIS_ISA_SET_SSEMXCSR, Unit::Sse, {1, CpuidRegister::Edx, 25}},
    {ZYDIS_ISA_SET_SSE_PREFETCH, Unit::Integer, {}},
    {ZYDIS_ISA_SET_SSSE3, Unit::Sse, {1, CpuidRegister::Ecx, 9}},
    {ZYDIS_ISA_SET_SSSE3MMX, Unit::Mmx, {1, CpuidRegister::Ecx, 9}},
    {ZYDIS_ISA_SET_VAES, Unit::Avx, {7, CpuidRegister::Ecx, 9}},
    {ZYDIS_ISA_SET_VPCLMULQDQ, Unit::Avx, {7, CpuidRegister::Ecx, 10}},
    {ZYDIS_ISA_SET_X87, Unit::X87, {1, CpuidRegister::Edx, 0}},
    {ZYDIS_ISA_SET_XSAVE, Unit::Integer, {1, CpuidRegister::Ecx, 26}},
    {ZYDIS_ISA_SET_XSAVEC, Unit::Integer, {1, CpuidRegister::Ecx, 26}},
    {ZYDIS_ISA_SET_XSAVEOPT, Unit::Integer, {1, CpuidRegister::Ecx, 26}},
    {ZYDIS_ISA_SET_RDPMC, Unit::Integer, {}},
});
// clang-format on

static_assert(std::is_sorted(kInstructions.begin(), kInstructions.end(),
                             [](const auto& a, const auto& b) { return a.mnemonic <= b.mnemonic; }),
              "sorted, and each once");

// What each extension has on this host, worked out once.
struct Extension {
  bool offered = false;
  Unit unit = Unit::Integer;
};
using Extensions = std::array<Extension, ZYDIS_ISA_SET_MAX_VALUE + 1>;

const Extensions& extensions() {
  static const Extensions all = [] {
    Extensions made;
    for (const IsaRow& row : kExtensions) made[row.set] = {is_offered(row.feature), row.unit};
    return made;
  }();
  return all;
}

// Which registers the instruction works on, where its extension does not tell.
Unit unit_of(ZydisMnemonic mnemonic, Unit of_extension) {
  switch (mnemonic) {
    case ZYDIS_MNEMONIC_FWAIT:
      return Unit::Wait;
    case ZYDIS_MNEMONIC_FCOMI:
    case ZYDIS_MNEMONIC_FCOMIP:
    case ZYDIS_MNEMONIC_FUCOMI:
    case ZYDIS_MNEMONIC_FUCOMIP:
      return Unit::X87;  // counted to the Pentium Pro's integer extension
    case ZYDIS_MNEMONIC_FISTTP:
      return Unit::X87;  // with 32 bits counted to SSE3
    case ZYDIS_MNEMONIC_LFENCE:
    case ZYDIS_MNEMONIC_SFENCE:
    case ZYDIS_MNEMONIC_MFENCE:
    case ZYDIS_MNEMONIC_MOVNTI:
    case ZYDIS_MNEMONIC_CRC32:
      return Unit::Integer;
    default:
      return of_extension;
  }
}

// Encodings that were set aside as NOPs and do nothing where the extension that later took them is absent.
bool is_hint(ZydisMnemonic mnemonic) {
  switch (mnemonic) {
    case ZYDIS_MNEMONIC_ENDBR32:
    case ZYDIS_MNEMONIC_ENDBR64:
    case ZYDIS_MNEMONIC_RDSSPD:
    case ZYDIS_MNEMONIC_RDSSPQ:
    case ZYDIS_MNEMONIC_CLDEMOTE:
      return true;
    default:
      return false;
  }
}

}  // namespace

std::span<const InstructionRow> engine_instructions() { return kInstructions; }
std::span<const IsaRow> native_extensions() { return kExtensions; }

Treatment treatment_of(const ZydisDecodedInstruction& instruction) {
  if (is_hint(instruction.mnemonic)) return {Execution::Engine};
  const Extension& extension = extensions()[instruction.meta.isa_set];
  if (!extension.offered) return {};
  const auto row = std::lower_bound(kInstructions.begin(), kInstructions.end(), instruction.mnemonic,
                                    [](const InstructionRow& a, ZydisMnemonic b) { return a.mnemonic < b; });
  const bool found = row != kInstructions.end() && row->mnemonic == instruction.mnemonic;
  const Unit unit = unit_of(instruction.mnemonic, extension.unit);
  if (!found) {
    // Nothing that wants the kernel's privilege may reach the host's processor for want of a row.
    const bool is_privileged = (instruction.attributes & ZYDIS_ATTRIB_IS_PRIVILEGED) != 0;
    return {is_privileged ? Execution::Refused : Execution::Native, Privilege::Any, unit};
  }
  // String MOVSD and CMPSD share their mnemonics with SSE2's.
  const bool is_string = row->mnemonic == ZYDIS_MNEMONIC_MOVSD || row->mnemonic == ZYDIS_MNEMONIC_CMPSD;
  if (is_string && unit == Unit::Sse) return {Execution::Native, Privilege::Any, unit};
  return {row->execution, row->privilege, unit};
}

}  // namespace berth::x86
