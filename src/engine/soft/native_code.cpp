#include "engine/soft/native_code.hpp"

#include <array>
#include <cstring>
#include <optional>

#include "engine/soft/decoded.hpp"

namespace berth::engine::soft {
namespace {

constexpr std::size_t kCodeBytes = std::size_t{16} << 20;
constexpr std::size_t kLongestFunction = 1024;
constexpr std::size_t kLongestBlock = 64;  // functions that one block may add after is_full() said no

constexpr unsigned kRax = 0, kRsp = 4, kRsi = 6, kRdi = 7;

// What an instruction uses, as sets of register numbers.
struct Usage {
  std::uint32_t gpr = 0, gpr_written = 0;
  std::uint32_t vector = 0, vector_written = 0;
  bool flags = false;
  bool wide = false;  // VEX: the upper halves of vector registers count
  bool x87 = false;   // and MMX
  const ZydisDecodedOperand* memory = nullptr;
};

constexpr std::uint32_t bit(unsigned number) { return 1u << number; }

bool is_write(const ZydisDecodedOperand& operand) {
  return (operand.actions & ZYDIS_OPERAND_ACTION_MASK_WRITE) != 0;
}

void note_register(const ZydisDecodedOperand& operand, Usage& usage) {
  const ZydisRegister name = operand.reg.value;
  switch (ZydisRegisterGetClass(name)) {
    case ZYDIS_REGCLASS_GPR8:
    case ZYDIS_REGCLASS_GPR16:
    case ZYDIS_REGCLASS_GPR32:
    case ZYDIS_REGCLASS_GPR64: {
      const ZydisRegister whole = ZydisRegisterGetLargestEnclosing(ZYDIS_MACHINE_MODE_LONG_64, name);
      const auto number = static_cast<unsigned>(ZydisRegisterGetId(whole));
      usage.gpr |= bit(number);
      if (is_write(operand)) usage.gpr_written |= bit(number);
      break;
    }
    case ZYDIS_REGCLASS_XMM:
    case ZYDIS_REGCLASS_YMM: {
      const auto number = static_cast<unsigned>(ZydisRegisterGetId(name));
      usage.vector |= bit(number);
      if (is_write(operand)) usage.vector_written |= bit(number);
      break;
    }
    default:
      break;
  }
}

Usage usage_of(const ZydisDecodedInstruction& instruction, const ZydisDecodedOperand* operands,
               x86::Unit unit) {
  Usage usage;
  usage.flags =
      instruction.cpu_flags != nullptr &&
      (instruction.cpu_flags->tested | instruction.cpu_flags->modified | instruction.cpu_flags->set_0 |
       instruction.cpu_flags->set_1 | instruction.cpu_flags->undefined) != 0;
  usage.wide = instruction.encoding == ZYDIS_INSTRUCTION_ENCODING_VEX;
  usage.x87 = unit == x86::Unit::X87 || unit == x86::Unit::Mmx;
  for (unsigned i = 0; i < instruction.operand_count; ++i) {
    const ZydisDecodedOperand& operand = operands[i];
    if (operand.type == ZYDIS_OPERAND_TYPE_REGISTER) note_register(operand, usage);
    if (operand.type == ZYDIS_OPERAND_TYPE_MEMORY) usage.memory = &operand;
    if (operand.type == ZYDIS_OPERAND_TYPE_REGISTER &&
        ZydisRegisterGetClass(operand.reg.value) == ZYDIS_REGCLASS_MMX) {
      usage.x87 = true;
    }
  }
  return usage;
}

// The host registers that stand for what the function cannot leave in place.
struct Roles {
  unsigned context = 0;  // NativeContext*
  unsigned memory = 0;   // the memory operand's address
  unsigned stack = 0;    // the guest's RSP
};

Roles assign_roles(const Usage& usage) {
  // Low registers first: an instruction with AH cannot have a REX prefix.
  constexpr std::array<unsigned, 12> kContext{7, 1, 2, 3, 5, 8, 9, 10, 11, 13, 14, 15};
  constexpr std::array<unsigned, 12> kMemory{6, 2, 1, 3, 5, 9, 8, 10, 11, 13, 14, 15};
  std::uint32_t taken = usage.gpr | bit(kRax) | bit(kRsp);
  const auto pick = [&taken](const auto& candidates) {
    for (const unsigned number : candidates) {
      if ((taken & bit(number)) == 0) {
        taken |= bit(number);
        return number;
      }
    }
    return kRsp;  // never: no instruction names that many
  };
  Roles roles;
  roles.context = pick(kContext);
  roles.memory = pick(kMemory);
  roles.stack = pick(kMemory);
  return roles;
}

// Writes machine code; only the few forms that the functions' frames need.
class Writer {
 public:
  void bytes(std::initializer_list<unsigned> values) {
    for (const unsigned value : values) code_.push_back(static_cast<char>(value));
  }
  void raw(const std::uint8_t* data, std::size_t size) {
    code_.append(reinterpret_cast<const char*>(data), size);
  }
  void push(unsigned reg) { bytes({0x40 | reg >> 3, 0x50 | (reg & 7)}); }
  void pop(unsigned reg) { bytes({0x40 | reg >> 3, 0x58 | (reg & 7)}); }
  void move(unsigned to, unsigned from) {
    bytes({0x48 | (from >> 3) << 2 | to >> 3, 0x89, 0xc0 | (from & 7) << 3 | (to & 7)});
  }
  void load(unsigned reg, unsigned base, std::size_t offset) {
    bytes({0x48 | (reg >> 3) << 2 | base >> 3, 0x8b});
    operand(reg, base, offset);
  }
  void store(unsigned reg, unsigned base, std::size_t offset) {
    bytes({0x48 | (reg >> 3) << 2 | base >> 3, 0x89});
    operand(reg, base, offset);
  }
  void vector(bool is_store, bool wide, unsigned reg, unsigned base, std::size_t offset) {
    if (wide) {
      bytes({0xc4, (reg < 8 ? 0x80u : 0u) | 0x40u | (base < 8 ? 0x20u : 0u) | 1u, 0x7c,
             is_store ? 0x11u : 0x10u});
    } else {
      bytes({0x40 | (reg >> 3) << 2 | base >> 3, 0x0f, is_store ? 0x11u : 0x10u});
    }
    operand(reg, base, offset);
  }
  // 0F AE: FXSAVE /0, FXRSTOR /1, STMXCSR /3.
  void state(unsigned extension, unsigned base, std::size_t offset) {
    bytes({0x48 | base >> 3, 0x0f, 0xae});
    operand(extension, base, offset);
  }
  void load_flags(unsigned base) {
    bytes({0x40 | base >> 3, 0x0f, 0xb7});  // movzx eax, word
    operand(kRax, base, offsetof(NativeContext, flags));
    bytes({0x04, 0x7f, 0x9e});  // add al, 127: sets OF from bit 0; sahf
  }
  void store_flags(unsigned base) {
    bytes({0x9f, 0x0f, 0x90, 0xc0, 0x66, 0x40 | base >> 3, 0x89});  // lahf; seto al; mov word, ax
    operand(kRax, base, offsetof(NativeContext, flags));
  }
  const std::string& code() const { return code_; }

 private:
  void operand(unsigned reg, unsigned base, std::size_t offset) {
    bytes({0x80 | (reg & 7) << 3 | (base & 7)});
    const auto displacement = static_cast<std::uint32_t>(offset);
    raw(reinterpret_cast<const std::uint8_t*>(&displacement), sizeof displacement);
  }
  std::string code_;
};

// SPL, SP, ESP or RSP becomes the same part of another register.
ZydisRegister without_rsp(ZydisRegister name, unsigned stack) {
  if (!is_general_register(name) ||
      ZydisRegisterGetLargestEnclosing(ZYDIS_MACHINE_MODE_LONG_64, name) != ZYDIS_REGISTER_RSP)
    return name;
  const ZydisRegisterClass kind = ZydisRegisterGetClass(name);
  // GPR8 counts AH to BH between BL and SPL.
  const unsigned number = kind == ZYDIS_REGCLASS_GPR8 && stack >= 4 ? stack + 4 : stack;
  return ZydisRegisterEncode(kind, static_cast<ZyanU8>(number));
}

std::optional<std::string> relocated(const ZydisDecodedInstruction& instruction,
                                     const ZydisDecodedOperand* operands, const Roles& roles) {
  ZydisEncoderRequest request;
  if (ZYAN_FAILED(ZydisEncoderDecodedInstructionToEncoderRequest(
          &instruction, operands, instruction.operand_count_visible, &request)))
    return std::nullopt;
  request.machine_mode = ZYDIS_MACHINE_MODE_LONG_64;
  request.address_size_hint = ZYDIS_ADDRESS_SIZE_HINT_NONE;
  request.prefixes &= ZYDIS_ATTRIB_HAS_LOCK;
  for (unsigned i = 0; i < request.operand_count; ++i) {
    ZydisEncoderOperand& operand = request.operands[i];
    if (operand.type == ZYDIS_OPERAND_TYPE_REGISTER)
      operand.reg.value = without_rsp(operand.reg.value, roles.stack);
    if (operand.type == ZYDIS_OPERAND_TYPE_MEMORY) {
      operand.mem.base = ZydisRegisterEncode(ZYDIS_REGCLASS_GPR64, static_cast<ZyanU8>(roles.memory));
      operand.mem.index = ZYDIS_REGISTER_NONE;
      operand.mem.scale = 0;
      operand.mem.displacement = 0;
    }
  }
  std::array<std::uint8_t, ZYDIS_MAX_INSTRUCTION_LENGTH> bytes;
  ZyanUSize size = bytes.size();
  if (ZYAN_FAILED(ZydisEncoderEncodeInstruction(&request, bytes.data(), &size))) return std::nullopt;
  return std::string(reinterpret_cast<const char*>(bytes.data()), size);
}

constexpr std::uint32_t kCalleeSaved = bit(3) | bit(5) | bit(12) | bit(13) | bit(14) | bit(15);

template <class Function>
void for_each(std::uint32_t set, Function function) {
  for (unsigned number = 0; number < 16; ++number) {
    if ((set & bit(number)) != 0) function(number);
  }
}

std::string make_function(const Usage& usage, const Roles& roles, const std::string& instruction) {
  Writer code;
  const auto host = [&roles](unsigned number) { return number == kRsp ? roles.stack : number; };
  std::uint32_t used = (usage.gpr & ~bit(kRsp)) | bit(roles.context) | bit(roles.memory);
  if ((usage.gpr & bit(kRsp)) != 0) used |= bit(roles.stack);
  const std::uint32_t saved = used & kCalleeSaved;
  for_each(saved, [&](unsigned number) { code.push(number); });
  if (roles.context != kRdi) code.move(roles.context, kRdi);
  if (roles.memory != kRsi) code.move(roles.memory, kRsi);
  const unsigned context = roles.context;
  if (usage.x87) {
    code.state(3, context, offsetof(NativeContext, fx) + 24);
    code.state(1, context, offsetof(NativeContext, fx));
  }
  if (usage.flags) code.load_flags(context);
  const auto vector_offset = [](unsigned number) { return offsetof(NativeContext, vector) + number * 32; };
  for_each(usage.vector, [&](unsigned n) { code.vector(false, usage.wide, n, context, vector_offset(n)); });
  for_each(usage.gpr, [&](unsigned n) { code.load(host(n), context, n * 8); });
  code.raw(reinterpret_cast<const std::uint8_t*>(instruction.data()), instruction.size());
  for_each(usage.gpr_written, [&](unsigned n) { code.store(host(n), context, n * 8); });
  if (usage.flags) code.store_flags(context);
  for_each(usage.vector_written,
           [&](unsigned n) { code.vector(true, usage.wide, n, context, vector_offset(n)); });
  if (usage.x87) {
    code.state(0, context, offsetof(NativeContext, fx));
    code.bytes(
        {0xdb, 0xe3});  // fninit: what is unmasked or pending is the guest's, and must not meet the host
  }
  std::uint32_t left = saved;
  for (unsigned number = 16; number-- > 0;) {
    if ((left & bit(number)) != 0) code.pop(number);
  }
  code.bytes({0xc3});
  return code.code();
}

// Which memory operands must be aligned: all of 16 bytes of the old encodings but those of a few (SDM vol.
// 2, 2.4 and 2.5), and with VEX those of moves that say so.
std::uint8_t alignment_of(const ZydisDecodedInstruction& instruction, const ZydisDecodedOperand& memory) {
  const auto bytes = static_cast<std::uint8_t>(memory.size / 8);
  if (instruction.meta.exception_class == ZYDIS_EXCEPTION_CLASS_AVX1) return bytes;
  if (bytes != 16 || instruction.encoding != ZYDIS_INSTRUCTION_ENCODING_LEGACY) return 1;
  switch (instruction.mnemonic) {
    case ZYDIS_MNEMONIC_MOVUPS:
    case ZYDIS_MNEMONIC_MOVUPD:
    case ZYDIS_MNEMONIC_MOVDQU:
    case ZYDIS_MNEMONIC_LDDQU:
    case ZYDIS_MNEMONIC_PCMPESTRI:
    case ZYDIS_MNEMONIC_PCMPESTRM:
    case ZYDIS_MNEMONIC_PCMPISTRI:
    case ZYDIS_MNEMONIC_PCMPISTRM:
      return 1;
    default:
      return 16;
  }
}

bool is_x87_control(ZydisMnemonic mnemonic) {
  switch (mnemonic) {
    case ZYDIS_MNEMONIC_FNINIT:
    case ZYDIS_MNEMONIC_FNCLEX:
    case ZYDIS_MNEMONIC_FNSTSW:
    case ZYDIS_MNEMONIC_FNSTCW:
    case ZYDIS_MNEMONIC_FENI8087_NOP:
    case ZYDIS_MNEMONIC_FDISI8087_NOP:
    case ZYDIS_MNEMONIC_FSETPM287_NOP:
      return true;
    default:
      return false;
  }
}

NativeCode describe(const ZydisDecodedInstruction& instruction, const Usage& usage, x86::Unit unit) {
  NativeCode code{.unit = unit};
  if (usage.memory != nullptr) {
    code.memory_bytes = static_cast<std::uint16_t>(usage.memory->size / 8);
    code.reads = (usage.memory->actions & ZYDIS_OPERAND_ACTION_MASK_READ) != 0;
    code.writes = is_write(*usage.memory);
    code.alignment = alignment_of(instruction, *usage.memory);
  }
  code.waits = (usage.x87 && !is_x87_control(instruction.mnemonic)) || unit == x86::Unit::Wait;
  if (unit == x86::Unit::X87 && code.waits && instruction.mnemonic != ZYDIS_MNEMONIC_FLDCW) {
    code.is_noted = true;
    code.opcode = static_cast<std::uint16_t>((instruction.opcode & 7) << 8 | instruction.raw.modrm.mod << 6 |
                                             instruction.raw.modrm.reg << 3 | instruction.raw.modrm.rm);
  }
  return code;
}

}  // namespace

Result<NativeCodeCache> NativeCodeCache::create() {
  return NativeCodeCache(TRY(sys::CodeMemory::create(kCodeBytes)));
}

bool NativeCodeCache::is_full() const { return used_ + kLongestBlock * kLongestFunction > memory_.size(); }

void NativeCodeCache::clear() {
  codes_.clear();
  used_ = 0;
}

const NativeCode* NativeCodeCache::get(const ZydisDecodedInstruction& instruction,
                                       const ZydisDecodedOperand* operands, x86::Unit unit) {
  const Usage usage = usage_of(instruction, operands, unit);
  const Roles roles = assign_roles(usage);
  const auto encoded = relocated(instruction, operands, roles);
  if (!encoded) return nullptr;
  NativeCode code = describe(instruction, usage, unit);
  std::string bytes = make_function(usage, roles, *encoded);
  BERTH_ASSERT(bytes.size() <= kLongestFunction && used_ + bytes.size() <= memory_.size());
  // The same code may serve operands of other sizes only if all that describe() says is equal too.
  std::string key = bytes;
  key.append({static_cast<char>(code.memory_bytes), static_cast<char>(code.alignment),
              static_cast<char>(unit), static_cast<char>(code.opcode), static_cast<char>(code.opcode >> 8)});
  const auto [entry, made] = codes_.try_emplace(std::move(key), code);
  if (made) {
    std::memcpy(memory_.writable() + used_, bytes.data(), bytes.size());
    entry->second.run = reinterpret_cast<void (*)(NativeContext*, void*)>(
        const_cast<std::byte*>(memory_.executable() + used_));
    used_ += (bytes.size() + 15) & ~std::size_t{15};
  }
  return &entry->second;
}

}  // namespace berth::engine::soft
