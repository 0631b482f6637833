// The interpreter against the processor it runs on: random instructions with random state are executed by
// both, and registers, defined flags, vector registers and memory compared.
#include "engine/soft/soft_vcpu.hpp"

#include <Zydis/Zydis.h>
#include <fmt/core.h>
#include <gtest/gtest.h>
#include <immintrin.h>
#include <sys/mman.h>

#include <cstdlib>
#include <cstring>
#include <random>

#include "engine/soft/machine_fixture.hpp"
#include "sys/code_memory.hpp"
#include "x86/bits.hpp"

namespace berth::engine::soft {
namespace {

using x86::Gpr;

constexpr std::uint64_t kData = 0x10000000;     // linear, in the guest and on the host
constexpr std::uint64_t kContext = 0x10200000;  // on the host alone
constexpr std::uint64_t kGuestCode = 0x8000, kGuestTables = 0x10000, kGuestData = 0x100000;
constexpr std::size_t kDataBytes = 4096;

struct NativeState {
  std::array<std::uint64_t, 16> gpr;
  std::uint64_t flags;
  std::uint64_t host_stack;
  alignas(32) std::array<std::array<std::byte, 32>, 16> vector;
};

// Memory of the host at a place of our choice.
class FixedPages {
 public:
  FixedPages(std::uint64_t address, std::size_t bytes, int protection) : bytes_(bytes) {
    memory_ = ::mmap(reinterpret_cast<void*>(address), bytes, protection,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
  }
  FixedPages(const FixedPages&) = delete;
  FixedPages& operator=(const FixedPages&) = delete;
  ~FixedPages() { ::munmap(memory_, bytes_); }
  std::byte* data() const { return static_cast<std::byte*>(memory_); }

 private:
  void* memory_ = nullptr;
  std::size_t bytes_ = 0;
};

// Code that loads NativeState, executes one instruction and stores the state back. All addresses are absolute
// and below 2 GiB.
std::string make_trampoline(const std::string& instruction) {
  std::string code;
  const auto add = [&code](std::initializer_list<unsigned> bytes) {
    for (const unsigned byte : bytes) code.push_back(static_cast<char>(byte));
  };
  const auto absolute = [&](std::size_t offset) {
    const auto address = static_cast<std::uint32_t>(kContext + offset);
    code.append(reinterpret_cast<const char*>(&address), sizeof address);
  };
  const auto move = [&](unsigned opcode, unsigned reg, std::size_t offset) {
    add({0x48 | (reg >> 3) << 2, opcode, 0x04 | (reg & 7) << 3, 0x25});
    absolute(offset);
  };
  const auto vector = [&](unsigned opcode, unsigned reg) {
    add({0xc4, (reg < 8 ? 0x80u : 0u) | 0x61, 0x7c, opcode, 0x04 | (reg & 7) << 3, 0x25});
    absolute(offsetof(NativeState, vector) + reg * 32);
  };
  add({0x53, 0x55, 0x41, 0x54, 0x41, 0x55, 0x41, 0x56, 0x41, 0x57});  // push the callee-saved
  move(0x89, 4, offsetof(NativeState, host_stack));
  for (unsigned i = 0; i < 16; ++i) vector(0x10, i);
  add({0xff, 0x34, 0x25});  // push flags
  absolute(offsetof(NativeState, flags));
  add({0x9d});
  for (unsigned i = 0; i < 16; ++i) {
    if (i != 4) move(0x8b, i, i * 8);
  }
  code += instruction;
  for (unsigned i = 0; i < 16; ++i) {
    if (i != 4) move(0x89, i, i * 8);
  }
  move(0x8b, 4, offsetof(NativeState, host_stack));
  add({0x9c, 0x8f, 0x04, 0x25});  // pushfq; pop flags
  absolute(offsetof(NativeState, flags));
  for (unsigned i = 0; i < 16; ++i) vector(0x11, i);
  add({0xfc, 0x41, 0x5f, 0x41, 0x5e, 0x41, 0x5d, 0x41, 0x5c, 0x5d, 0x5b, 0xc3});
  return code;
}

constexpr auto kMnemonics = std::to_array<ZydisMnemonic>(
    {ZYDIS_MNEMONIC_ADD,       ZYDIS_MNEMONIC_ADC,        ZYDIS_MNEMONIC_SUB,      ZYDIS_MNEMONIC_SBB,
     ZYDIS_MNEMONIC_AND,       ZYDIS_MNEMONIC_OR,         ZYDIS_MNEMONIC_XOR,      ZYDIS_MNEMONIC_CMP,
     ZYDIS_MNEMONIC_TEST,      ZYDIS_MNEMONIC_INC,        ZYDIS_MNEMONIC_DEC,      ZYDIS_MNEMONIC_NEG,
     ZYDIS_MNEMONIC_NOT,       ZYDIS_MNEMONIC_MOV,        ZYDIS_MNEMONIC_MOVZX,    ZYDIS_MNEMONIC_MOVSX,
     ZYDIS_MNEMONIC_MOVSXD,    ZYDIS_MNEMONIC_LEA,        ZYDIS_MNEMONIC_XCHG,     ZYDIS_MNEMONIC_XADD,
     ZYDIS_MNEMONIC_CMPXCHG,   ZYDIS_MNEMONIC_SHL,        ZYDIS_MNEMONIC_SHR,      ZYDIS_MNEMONIC_SAR,
     ZYDIS_MNEMONIC_ROL,       ZYDIS_MNEMONIC_ROR,        ZYDIS_MNEMONIC_RCL,      ZYDIS_MNEMONIC_RCR,
     ZYDIS_MNEMONIC_SHLD,      ZYDIS_MNEMONIC_SHRD,       ZYDIS_MNEMONIC_BT,       ZYDIS_MNEMONIC_BTS,
     ZYDIS_MNEMONIC_BTR,       ZYDIS_MNEMONIC_BTC,        ZYDIS_MNEMONIC_BSF,      ZYDIS_MNEMONIC_BSR,
     ZYDIS_MNEMONIC_TZCNT,     ZYDIS_MNEMONIC_LZCNT,      ZYDIS_MNEMONIC_POPCNT,   ZYDIS_MNEMONIC_BSWAP,
     ZYDIS_MNEMONIC_MUL,       ZYDIS_MNEMONIC_IMUL,       ZYDIS_MNEMONIC_DIV,      ZYDIS_MNEMONIC_IDIV,
     ZYDIS_MNEMONIC_CMOVB,     ZYDIS_MNEMONIC_CMOVNLE,    ZYDIS_MNEMONIC_CMOVZ,    ZYDIS_MNEMONIC_CMOVS,
     ZYDIS_MNEMONIC_SETL,      ZYDIS_MNEMONIC_SETNBE,     ZYDIS_MNEMONIC_SETP,     ZYDIS_MNEMONIC_CBW,
     ZYDIS_MNEMONIC_CDQ,       ZYDIS_MNEMONIC_CQO,        ZYDIS_MNEMONIC_CDQE,     ZYDIS_MNEMONIC_LAHF,
     ZYDIS_MNEMONIC_SAHF,      ZYDIS_MNEMONIC_CMC,        ZYDIS_MNEMONIC_ANDN,     ZYDIS_MNEMONIC_BEXTR,
     ZYDIS_MNEMONIC_BLSR,      ZYDIS_MNEMONIC_PDEP,       ZYDIS_MNEMONIC_PEXT,     ZYDIS_MNEMONIC_MULX,
     ZYDIS_MNEMONIC_RORX,      ZYDIS_MNEMONIC_ADCX,       ZYDIS_MNEMONIC_ADOX,     ZYDIS_MNEMONIC_CRC32,
     ZYDIS_MNEMONIC_MOVBE,     ZYDIS_MNEMONIC_PADDB,      ZYDIS_MNEMONIC_PXOR,     ZYDIS_MNEMONIC_PSHUFB,
     ZYDIS_MNEMONIC_MULPS,     ZYDIS_MNEMONIC_ADDSD,      ZYDIS_MNEMONIC_CVTSI2SD, ZYDIS_MNEMONIC_CVTTSD2SI,
     ZYDIS_MNEMONIC_UCOMISD,   ZYDIS_MNEMONIC_PMOVMSKB,   ZYDIS_MNEMONIC_MOVQ,     ZYDIS_MNEMONIC_AESENC,
     ZYDIS_MNEMONIC_PCLMULQDQ, ZYDIS_MNEMONIC_VPADDD,     ZYDIS_MNEMONIC_VPERMQ,   ZYDIS_MNEMONIC_VFMADD231PD,
     ZYDIS_MNEMONIC_VADDPS,    ZYDIS_MNEMONIC_VMASKMOVPS, ZYDIS_MNEMONIC_VPTEST,   ZYDIS_MNEMONIC_SHA256RNDS2,
     ZYDIS_MNEMONIC_PCMPESTRI, ZYDIS_MNEMONIC_VZEROUPPER});

// Registers that are never written: those that addresses are made of, and RSP, which is the host's.
constexpr unsigned kReserved = 1u << 3 | 1u << 4 | 1u << 5 | 1u << 11 | 1u << 12 | 1u << 13 | 1u << 14;
constexpr unsigned kBaseRegisters = 1u << 3 | 1u << 5 | 1u << 11 | 1u << 12;

class Generator {
 public:
  explicit Generator(std::uint64_t seed) : random_(seed) {}

  std::uint64_t bits() { return random_(); }
  unsigned below(unsigned bound) { return static_cast<unsigned>(random_() % bound); }

  // One instruction; empty where the draw encodes nothing. Memory operands lie in the middle of the data
  // page.
  std::string instruction() {
    ZydisEncoderRequest request{};
    request.machine_mode = ZYDIS_MACHINE_MODE_LONG_64;
    request.mnemonic = kMnemonics[below(kMnemonics.size())];
    request.operand_count = static_cast<ZyanU8>(below(5));
    const unsigned bytes = 1u << below(4);
    for (unsigned i = 0; i < request.operand_count; ++i) request.operands[i] = operand(bytes);
    std::array<std::uint8_t, ZYDIS_MAX_INSTRUCTION_LENGTH> encoded;
    ZyanUSize size = encoded.size();
    if (ZYAN_FAILED(ZydisEncoderEncodeInstruction(&request, encoded.data(), &size))) return {};
    return {reinterpret_cast<const char*>(encoded.data()), size};
  }

  // Numbers that carries and signs happen at, as often as any others.
  std::uint64_t value() {
    switch (below(4)) {
      case 0:
        return bits();
      case 1:
        return below(256);
      case 2:
        return std::uint64_t{1} << below(64);
      default:
        return ~(bits() >> below(64));
    }
  }

 private:
  ZydisEncoderOperand operand(unsigned bytes) {
    ZydisEncoderOperand made{};
    switch (below(6)) {
      case 0: {
        made.type = ZYDIS_OPERAND_TYPE_MEMORY;
        constexpr std::array<ZydisRegister, 4> kBases{ZYDIS_REGISTER_RBX, ZYDIS_REGISTER_RBP,
                                                      ZYDIS_REGISTER_R11, ZYDIS_REGISTER_R12};
        constexpr std::array<ZydisRegister, 3> kIndices{ZYDIS_REGISTER_NONE, ZYDIS_REGISTER_R13,
                                                        ZYDIS_REGISTER_R14};
        made.mem.base = kBases[below(kBases.size())];
        made.mem.index = kIndices[below(kIndices.size())];
        made.mem.scale = made.mem.index == ZYDIS_REGISTER_NONE ? 0 : static_cast<ZyanU8>(1u << below(4));
        made.mem.displacement = static_cast<ZyanI64>(below(8)) * 16 - 64;
        constexpr std::array<ZyanU16, 6> kSizes{1, 2, 4, 8, 16, 32};
        made.mem.size = below(2) == 0 ? static_cast<ZyanU16>(bytes) : kSizes[below(kSizes.size())];
        break;
      }
      case 1:
        made.type = ZYDIS_OPERAND_TYPE_IMMEDIATE;
        made.imm.u = below(256);
        break;
      case 2:
        made.type = ZYDIS_OPERAND_TYPE_REGISTER;
        made.reg.value = ZydisRegisterEncode(below(2) == 0 ? ZYDIS_REGCLASS_XMM : ZYDIS_REGCLASS_YMM,
                                             static_cast<ZyanU8>(below(16)));
        break;
      default:
        made.type = ZYDIS_OPERAND_TYPE_REGISTER;
        made.reg.value = general(bytes);
    }
    return made;
  }
  ZydisRegister general(unsigned bytes) {
    unsigned number = below(16);
    while ((kReserved >> number & 1) != 0) number = below(16);
    switch (bytes) {
      case 1:
        return ZydisRegisterEncode(ZYDIS_REGCLASS_GPR8,
                                   static_cast<ZyanU8>(number >= 4 ? number + 4 : number));
      case 2:
        return ZydisRegisterEncode(ZYDIS_REGCLASS_GPR16, static_cast<ZyanU8>(number));
      case 4:
        return ZydisRegisterEncode(ZYDIS_REGCLASS_GPR32, static_cast<ZyanU8>(number));
      default:
        return ZydisRegisterEncode(ZYDIS_REGCLASS_GPR64, static_cast<ZyanU8>(number));
    }
  }
  std::mt19937_64 random_;
};

// The flags that the manuals leave undefined after the instruction.
std::uint64_t undefined_flags(const std::string& instruction, ZydisDecodedInstruction& decoded,
                              std::array<ZydisDecodedOperand, ZYDIS_MAX_OPERAND_COUNT>& operands) {
  ZydisDecoder decoder;
  ZydisDecoderInit(&decoder, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
  ZydisDecoderDecodeFull(&decoder, instruction.data(), instruction.size(), &decoded, operands.data());
  return decoded.cpu_flags != nullptr ? decoded.cpu_flags->undefined : 0;
}

// BERTH_TEST_SEED draws others.
std::uint64_t seed() {
  const char* const text = std::getenv("BERTH_TEST_SEED");
  return text != nullptr ? std::strtoull(text, nullptr, 10) : 20261123;
}

// The processor that the test itself runs on; one at a time, at the guest's addresses.
class HostProcessor {
 public:
  static std::unique_ptr<HostProcessor> create() {
    auto code = sys::CodeMemory::create(4096);
    if (!code) return nullptr;
    std::unique_ptr<HostProcessor> host(new HostProcessor(std::move(*code)));
    const bool in_place = host->data_.data() == reinterpret_cast<std::byte*>(kData) &&
                          host->context_.data() == reinterpret_cast<std::byte*>(kContext);
    return in_place ? std::move(host) : nullptr;
  }
  std::byte* data() const { return data_.data(); }

  // The state behind the instructions, of which none may fault.
  const NativeState& run(const std::string& instructions, const NativeState& before) {
    auto& state = *reinterpret_cast<NativeState*>(context_.data());
    state = before;
    const std::string trampoline = make_trampoline(instructions);
    std::memcpy(code_.writable(), trampoline.data(), trampoline.size());
    reinterpret_cast<void (*)()>(const_cast<std::byte*>(code_.executable()))();
    return state;
  }

 private:
  explicit HostProcessor(sys::CodeMemory code) : code_(std::move(code)) {}
  FixedPages data_{kData, kDataBytes, PROT_READ | PROT_WRITE};
  FixedPages context_{kContext, 8192, PROT_READ | PROT_WRITE};
  sys::CodeMemory code_;
};

class ProcessorTest : public testing::TestWithParam<Tiers> {
 protected:
  void SetUp() override {
    auto memory = guest::GuestMemory::create(2 << 20);
    ASSERT_TRUE(memory);
    memory_.emplace(std::move(*memory));
    auto engine = make_soft_vcpu(*memory_, machine_, GetParam());
    ASSERT_TRUE(engine);
    engine_ = std::move(*engine);
    host_ = HostProcessor::create();
    ASSERT_TRUE(host_);
    // Linear kData to kGuestData, and the code's page to itself.
    put(kGuestTables, kGuestTables + 0x1003);
    put(kGuestTables + 0x1000, kGuestTables + 0x2003);
    put(kGuestTables + 0x2000, kGuestTables + 0x3003);
    put(kGuestTables + 0x2000 + (kData >> 21) * 8, kGuestTables + 0x4003);
    put(kGuestTables + 0x3000 + (kGuestCode >> 12) * 8, kGuestCode | 3);
    put(kGuestTables + 0x4000, kGuestData | 3);
  }

  void put(std::uint64_t address, std::uint64_t value) {
    ASSERT_TRUE(memory_->write(guest::Gpa{address}, std::as_bytes(std::span(&value, 1))));
  }
  std::span<std::byte> guest_data() { return memory_->at(guest::Gpa{kGuestData}, kDataBytes); }

  void set_state(const NativeState& native) {
    x86::CpuState& state = engine_->state();
    state = x86::power_on_state();
    state.gpr = native.gpr;
    state.rip = kGuestCode;
    state.rflags = native.flags;
    state.cr0 = x86::cr0::kPe | x86::cr0::kPg | x86::cr0::kMp | x86::cr0::kNe;
    state.cr3 = kGuestTables;
    state.cr4 = x86::cr4::kPae | x86::cr4::kOsfxsr | x86::cr4::kOsxmmexcpt | x86::cr4::kOsxsave;
    state.xcr0 = 7;
    state.efer = x86::efer::kLme | x86::efer::kLma;
    state.idtr.limit = 0;
    state.segment(x86::SegmentName::Cs).attributes = 0xa9b;
    for (std::size_t i = 0; i < 16; ++i) {
      std::memcpy(state.xsave.data() + 160 + i * 16, native.vector[i].data(), 16);
      std::memcpy(state.xsave.data() + 576 + i * 16, native.vector[i].data() + 16, 16);
    }
    engine_->state_changed();
  }

  NativeState state_of_engine() {
    const x86::CpuState& state = engine_->state();
    NativeState native{.gpr = state.gpr, .flags = state.rflags};
    for (std::size_t i = 0; i < 16; ++i) {
      std::memcpy(native.vector[i].data(), state.xsave.data() + 160 + i * 16, 16);
      std::memcpy(native.vector[i].data() + 16, state.xsave.data() + 576 + i * 16, 16);
    }
    return native;
  }

  // Executes `known` and `instructions` in the guest, then the latter on the host, each on the guest's data
  // as it is now. Nothing where they fault in the guest: the host is not asked then.
  std::optional<NativeState> run_on_both(const std::string& instructions, const NativeState& before,
                                         const std::string& known = "") {
    const std::string program = known + instructions + "\xf4";  // HLT
    EXPECT_TRUE(memory_->write(guest::Gpa{kGuestCode}, std::as_bytes(std::span(program))));
    engine_->guest_memory_written(guest::Gpa{kGuestCode}, program.size());
    std::memcpy(host_->data(), guest_data().data(), kDataBytes);
    set_state(before);
    const auto exit = engine_->run();
    EXPECT_TRUE(exit);
    if (!exit || !std::holds_alternative<Halt>(*exit)) return std::nullopt;
    return host_->run(instructions, before);
  }

  EmptyMachine machine_;
  std::unique_ptr<HostProcessor> host_;
  std::optional<guest::GuestMemory> memory_;
  std::unique_ptr<VcpuEngine> engine_;
};

NativeState random_state(Generator& generator) {
  NativeState state{};
  for (auto& reg : state.gpr) reg = generator.value();
  for (unsigned i = 0; i < 16; ++i) {
    if ((kBaseRegisters >> i & 1) != 0) state.gpr[i] = kData + 2048;
  }
  state.gpr[13] = generator.below(16);
  state.gpr[14] = generator.below(16) * 16;
  state.flags = (generator.bits() & x86::rflags::kArithmetic) | x86::rflags::kOne;
  for (auto& vector : state.vector) {
    for (std::size_t i = 0; i < vector.size(); i += 8) {
      const std::uint64_t value = generator.value();
      std::memcpy(vector.data() + i, &value, sizeof value);
    }
  }
  return state;
}

// BT and its like reach as far as their register says.
bool reaches_far(const ZydisDecodedInstruction& decoded) {
  return decoded.meta.category == ZYDIS_CATEGORY_BITBYTE &&
         (decoded.attributes & ZYDIS_ATTRIB_HAS_MODRM) != 0 && decoded.raw.modrm.mod != 3 &&
         decoded.raw.imm[0].size == 0;
}

std::string in_hex(const std::string& bytes) {
  std::string text;
  for (const char byte : bytes) text += fmt::format("{:02x} ", static_cast<unsigned char>(byte));
  return text;
}

INSTANTIATE_TEST_SUITE_P(Tiers, ProcessorTest, testing::Values(Tiers::Interpreter, Tiers::EagerTranslator),
                         [](const auto& tiers) {
                           return tiers.param == Tiers::Interpreter ? "Interpreter" : "Translator";
                         });

// Instructions in a row, and the flags that the manuals define behind them.
struct Sequence {
  std::string code;
  std::uint64_t flags = 0;
};

bool writes_reserved(const ZydisDecodedInstruction& decoded, const ZydisDecodedOperand* operands) {
  for (unsigned i = 0; i < decoded.operand_count; ++i) {
    const ZydisDecodedOperand& operand = operands[i];
    if (operand.type != ZYDIS_OPERAND_TYPE_REGISTER ||
        (operand.actions & ZYDIS_OPERAND_ACTION_MASK_WRITE) == 0)
      continue;
    const auto name = ZydisRegisterGetLargestEnclosing(ZYDIS_MACHINE_MODE_LONG_64, operand.reg.value);
    const auto kind = ZydisRegisterGetClass(name);
    if (kind == ZYDIS_REGCLASS_GPR64 && (kReserved >> ZydisRegisterGetId(name) & 1) != 0) return true;
  }
  return false;
}

Sequence random_sequence(Generator& generator) {
  Sequence sequence{.code = {}, .flags = x86::rflags::kArithmetic};
  const unsigned length = 1 + generator.below(6);
  for (unsigned made = 0; made < length;) {
    const std::string instruction = generator.instruction();
    if (instruction.empty()) continue;
    ZydisDecodedInstruction decoded;
    std::array<ZydisDecodedOperand, ZYDIS_MAX_OPERAND_COUNT> operands;
    const std::uint64_t undefined = undefined_flags(instruction, decoded, operands);
    if (reaches_far(decoded) || writes_reserved(decoded, operands.data())) continue;
    // What is undefined may only be looked at once it has been written again.
    const std::uint64_t tested = decoded.cpu_flags != nullptr ? decoded.cpu_flags->tested : 0;
    if ((tested & x86::rflags::kArithmetic & ~sequence.flags) != 0) continue;
    // A shift may be one by nothing, which writes no flags.
    const bool counted =
        decoded.meta.category == ZYDIS_CATEGORY_SHIFT || decoded.meta.category == ZYDIS_CATEGORY_ROTATE;
    if (decoded.cpu_flags != nullptr && !counted)
      sequence.flags |= decoded.cpu_flags->modified | decoded.cpu_flags->set_0 | decoded.cpu_flags->set_1;
    sequence.flags &= x86::rflags::kArithmetic & ~undefined;
    sequence.code += instruction;
    ++made;
  }
  return sequence;
}

void expect_equal(const NativeState& native, const NativeState& after, std::uint64_t flags,
                  const std::string& what) {
  for (unsigned i = 0; i < 16; ++i) {
    if (i == 4) continue;
    EXPECT_EQ(after.gpr[i], native.gpr[i]) << what << " register " << i;
  }
  EXPECT_EQ(after.flags & flags, native.flags & flags) << what;
  EXPECT_EQ(std::memcmp(after.vector.data(), native.vector.data(), sizeof after.vector), 0) << what;
}

TEST_P(ProcessorTest, AgreesWithTheProcessorOnRandomInstructions) {
  if (!__builtin_cpu_supports("avx2")) GTEST_SKIP() << "the trampoline needs a processor with AVX";
  Generator generator(seed());
  unsigned compared = 0;
  for (unsigned round = 0; compared < 20000 && round < 2'000'000; ++round) {
    const Sequence sequence = random_sequence(generator);
    const NativeState before = random_state(generator);
    // NOT BYTE [RBX], twice: half of the time the TLB knows the page already.
    const std::string known = generator.below(2) == 0 ? "\xf6\x13\xf6\x13" : "";
    for (std::byte& byte : guest_data()) byte = static_cast<std::byte>(generator.bits());
    const auto native = run_on_both(sequence.code, before, known);
    if (!native) continue;
    const std::string program = in_hex(known + sequence.code);
    expect_equal(*native, state_of_engine(), sequence.flags,
                 fmt::format("{}(round {}, flags {:x})", program, round, before.flags));
    ASSERT_EQ(std::memcmp(guest_data().data(), host_->data(), kDataBytes), 0) << program << " memory";
    if (HasFailure()) return;
    ++compared;
  }
  EXPECT_EQ(compared, 20000u);
}

// Two doubles on the stack, one instruction, then status and the three top registers into memory.
std::string x87_program(unsigned opcode, unsigned modrm) {
  std::string code("\xdb\xe3\xdd\x03\xdd\x43\x08", 7);  // fninit; fld qword [rbx]; fld qword [rbx + 8]
  code += {static_cast<char>(opcode), static_cast<char>(modrm)};
  code += std::string("\xdd\x7b\x40\xdb\x7b\x50\xdb\x7b\x60\xdb\x7b\x70\xdb\xe3", 14);
  return code;
}

TEST_P(ProcessorTest, AgreesWithTheProcessorOnX87) {
  Generator generator(20261124);
  unsigned compared = 0;
  for (unsigned round = 0; round < 8 * 64 * 4; ++round) {
    const unsigned opcode = 0xd8 + round / 4 / 64, modrm = 0xc0 + round / 4 % 64;
    const NativeState before = random_state(generator);
    const double operands[2] = {static_cast<double>(generator.below(9)) - 3.25,
                                1.0 / (1 + generator.below(99))};
    std::memcpy(guest_data().data() + 2048, operands, sizeof operands);
    const auto native = run_on_both(x87_program(opcode, modrm), before);
    if (!native) continue;
    ++compared;
    EXPECT_EQ(std::memcmp(guest_data().data() + 2112, host_->data() + 2112, 64), 0)
        << fmt::format("{:02x} {:02x} of {} {}", opcode, modrm, operands[0], operands[1]);
    EXPECT_EQ(engine_->state().gpr[0] & 0xffff, native->gpr[0] & 0xffff)
        << fmt::format("{:02x} {:02x}", opcode, modrm);
    EXPECT_EQ((engine_->state().rflags ^ native->flags) & 0x45, 0u)
        << fmt::format("{:02x} {:02x}", opcode, modrm);
  }
  EXPECT_GT(compared, 1500u);
}

// A control word, two doubles on the stack, one instruction with [rbx + 32], then as above.
std::string x87_memory_program(unsigned opcode, unsigned extension) {
  std::string code("\xdb\xe3\xd9\x6b\x10\xdd\x03\xdd\x43\x08", 10);  // fninit; fldcw [rbx + 16]; fld twice
  code += {static_cast<char>(opcode), static_cast<char>(0x43 | extension << 3), '\x20'};
  // fnstsw ax; fnstcw [rbx + 56]; fstp tbyte three times; fninit
  code += std::string("\xdf\xe0\xd9\x7b\x38\xdb\x7b\x50\xdb\x7b\x60\xdb\x7b\x70\xdb\xe3", 16);
  return code;
}

// The environment and whole-state forms hold addresses, which differ.
bool holds_addresses(unsigned opcode, unsigned extension) {
  return (opcode == 0xd9 && (extension == 4 || extension == 6)) ||
         (opcode == 0xdd && (extension == 4 || extension == 6));
}

// What the guest unmasks would otherwise end the host's process at its next use of these units.
TEST_P(ProcessorTest, LeavesTheHostsFloatingPointAsItWas) {
  const std::string program =
      "\xd9\x2b"                          // fldcw [rbx]: all unmasked
      "\xd9\xe8\xd9\xe8\xd9\xe8\xd9\xe8"  // fld1, until the stack is full
      "\xd9\xe8\xd9\xe8\xd9\xe8\xd9\xe8"
      "\x0f\xae\x53\x04"  // ldmxcsr [rbx + 4]: all unmasked
      "\xf4";             // hlt
  ASSERT_TRUE(memory_->write(guest::Gpa{kGuestCode}, std::as_bytes(std::span(program))));
  engine_->guest_memory_written(guest::Gpa{kGuestCode}, program.size());
  put(kGuestData, 0x0340);
  NativeState state{.flags = x86::rflags::kOne};
  state.gpr[3] = kData;
  set_state(state);
  const std::uint32_t mxcsr = _mm_getcsr();
  const auto exit = engine_->run();
  std::uint16_t control = 0, status = 0;
  asm volatile("fnstcw %0; fnstsw %1" : "=m"(control), "=m"(status));
  asm volatile("fninit");  // before anything here computes
  ASSERT_TRUE(exit);
  EXPECT_TRUE(std::holds_alternative<Halt>(*exit));
  EXPECT_EQ(control, 0x37f);
  EXPECT_EQ(status & 0x3800, 0);  // the top of an empty stack
  EXPECT_EQ(_mm_getcsr(), mxcsr);
  EXPECT_EQ(static_cast<unsigned>(engine_->state().xsave[0]), 0x40U);  // and the guest has what it asked for
}

TEST_P(ProcessorTest, AgreesWithTheProcessorOnX87WithMemory) {
  Generator generator(20261125);
  unsigned compared = 0;
  for (unsigned round = 0; round < 8 * 8 * 64; ++round) {
    const unsigned opcode = 0xd8 + round / 8 % 8, extension = round % 8;
    if (holds_addresses(opcode, extension)) continue;
    const NativeState before = random_state(generator);
    std::byte* const place = guest_data().data() + 2048;
    for (unsigned i = 0; i < 128; ++i) place[i] = static_cast<std::byte>(generator.bits());
    const double operands[2] = {static_cast<double>(generator.below(9)) - 3.25,
                                1.0 / (1 + generator.below(99))};
    std::memcpy(place, operands, sizeof operands);
    // All exceptions masked; any rounding and precision.
    const auto control =
        static_cast<std::uint16_t>(0x7f | generator.below(4) << 8 | generator.below(4) << 10);
    std::memcpy(place + 16, &control, sizeof control);
    if (opcode == 0xd9 && extension == 5) std::memcpy(place + 32, &control, sizeof control);
    if (opcode != 0xd9 && generator.below(2) == 0) {
      const double number = static_cast<double>(generator.below(1000)) / 7 - 50;
      const auto narrow = static_cast<float>(number);
      if ((opcode & 4) != 0) {
        std::memcpy(place + 32, &number, sizeof number);
      } else {
        std::memcpy(place + 32, &narrow, sizeof narrow);
      }
    }
    const auto native = run_on_both(x87_memory_program(opcode, extension), before);
    if (!native) continue;
    EXPECT_EQ(std::memcmp(guest_data().data() + 2048, host_->data() + 2048, 128), 0) << fmt::format(
        "{:02x} /{} control {:x}: {} and {}", opcode, extension, control, operands[0], operands[1]);
    EXPECT_EQ(engine_->state().gpr[0] & 0xffff, native->gpr[0] & 0xffff)
        << fmt::format("{:02x} /{}", opcode, extension);
    ++compared;
  }
  EXPECT_GT(compared, 3000u);
}

}  // namespace
}  // namespace berth::engine::soft
