#include "engine/soft/instruction_copy.hpp"

#include <algorithm>
#include <span>
#include <string>

namespace berth::engine::soft {
namespace {

unsigned number_of(ZydisRegister name) {
  return static_cast<unsigned>(
      ZydisRegisterGetId(ZydisRegisterGetLargestEnclosing(ZYDIS_MACHINE_MODE_LONG_64, name)));
}

ZydisRegister gpr(unsigned number) {
  return ZydisRegisterEncode(ZYDIS_REGCLASS_GPR64, static_cast<ZyanU8>(number));
}

// The same part of another register.
ZydisRegister same_part(ZydisRegister name, unsigned number) {
  const ZydisRegisterClass kind = ZydisRegisterGetClass(name);
  // GPR8 counts AH to BH between BL and SPL.
  const unsigned id = kind == ZYDIS_REGCLASS_GPR8 && number >= 4 ? number + 4 : number;
  return ZydisRegisterEncode(kind, static_cast<ZyanU8>(id));
}

// XOR and SUB of a register with itself: what it was does not matter.
bool is_zeroing(const Decoded& decoded) {
  const bool zeroes = decoded.mnemonic() == ZYDIS_MNEMONIC_XOR || decoded.mnemonic() == ZYDIS_MNEMONIC_SUB;
  return zeroes && decoded.is_register(0) && decoded.is_register(1) &&
         decoded.operands[0].reg.value == decoded.operands[1].reg.value;
}

// Whether nothing is left of what the register was. BSF and BSR leave it alone where there is no bit.
bool is_replaced(const Decoded& decoded, const ZydisDecodedOperand& operand) {
  if (decoded.mnemonic() == ZYDIS_MNEMONIC_BSF || decoded.mnemonic() == ZYDIS_MNEMONIC_BSR) return false;
  return operand.actions == ZYDIS_OPERAND_ACTION_WRITE && operand.size >= 32;
}

// The guest's registers among the operands that lie in the context, and the host's that stand for them.
class SpilledRegisters {
 public:
  SpilledRegisters(const GuestInstruction& guest, std::span<const unsigned> spares) : spares_(spares) {
    const Decoded& decoded = guest.decoded;
    const bool zeroes = is_zeroing(decoded) && decoded.operands[0].size >= 32;
    for (unsigned i = 0; i < decoded.visible(); ++i) {
      const ZydisDecodedOperand& operand = decoded.operands[i];
      if (operand.type == ZYDIS_OPERAND_TYPE_REGISTER && is_general_register(operand.reg.value))
        note(number_of(operand.reg.value), !zeroes && !is_replaced(decoded, operand), is_written(operand));
    }
  }
  bool fit() const { return count_ <= spares_.size(); }
  unsigned host_of(unsigned guest) const {
    for (unsigned i = 0; i < count_; ++i) {
      if (registers_[i].guest == guest) return spares_[i];
    }
    return home_of(guest);
  }
  void load(HostCode& code) const {
    for (unsigned i = 0; i < count_; ++i) {
      if (registers_[i].read) code.load(spares_[i], gpr_in_context(registers_[i].guest));
    }
  }
  void store(HostCode& code) const {
    for (unsigned i = 0; i < count_; ++i) {
      if (registers_[i].written) code.store(spares_[i], gpr_in_context(registers_[i].guest));
    }
  }

 private:
  struct Spilled {
    unsigned guest = 0;
    bool read = false, written = false;
  };
  void note(unsigned guest, bool read, bool written) {
    if (home_of(guest) != kInMemory) return;
    for (unsigned i = 0; i < count_; ++i) {
      if (registers_[i].guest != guest) continue;
      registers_[i].read |= read;
      registers_[i].written |= written;
      return;
    }
    registers_[count_++] = {.guest = guest, .read = read, .written = written};
  }
  std::span<const unsigned> spares_;
  std::array<Spilled, 4> registers_;
  unsigned count_ = 0;
};

// Instructions that do the same with a place in memory as with a register.
bool takes_memory_as_well(const Decoded& decoded) {
  if (decoded.instruction.meta.category == ZYDIS_CATEGORY_CMOV ||
      decoded.instruction.meta.category == ZYDIS_CATEGORY_SETCC)
    return true;
  switch (decoded.mnemonic()) {
    case ZYDIS_MNEMONIC_MOV:
    case ZYDIS_MNEMONIC_MOVZX:
    case ZYDIS_MNEMONIC_MOVSX:
    case ZYDIS_MNEMONIC_MOVSXD:
    case ZYDIS_MNEMONIC_ADD:
    case ZYDIS_MNEMONIC_ADC:
    case ZYDIS_MNEMONIC_SUB:
    case ZYDIS_MNEMONIC_SBB:
    case ZYDIS_MNEMONIC_AND:
    case ZYDIS_MNEMONIC_OR:
    case ZYDIS_MNEMONIC_XOR:
    case ZYDIS_MNEMONIC_CMP:
    case ZYDIS_MNEMONIC_INC:
    case ZYDIS_MNEMONIC_DEC:
    case ZYDIS_MNEMONIC_NEG:
    case ZYDIS_MNEMONIC_NOT:
    case ZYDIS_MNEMONIC_IMUL:
    case ZYDIS_MNEMONIC_SHL:
    case ZYDIS_MNEMONIC_SHR:
    case ZYDIS_MNEMONIC_SAR:
      return true;
    default:
      return false;
  }
}

// The one operand whose register lies in the context, if the instruction can work on it there: none else is
// in memory, and no upper half is to be cleared. Else kNoOperand.
constexpr unsigned kNoOperand = ~0u;
unsigned operand_in_context(const Decoded& decoded) {
  if (!takes_memory_as_well(decoded) || is_zeroing(decoded)) return kNoOperand;
  unsigned found = kNoOperand;
  for (unsigned i = 0; i < decoded.visible(); ++i) {
    const ZydisDecodedOperand& operand = decoded.operands[i];
    if (operand.type == ZYDIS_OPERAND_TYPE_MEMORY) return kNoOperand;
    if (operand.type != ZYDIS_OPERAND_TYPE_REGISTER || !is_general_register(operand.reg.value)) continue;
    if (home_of(number_of(operand.reg.value)) != kInMemory) continue;
    if (found != kNoOperand || (is_written(operand) && operand.size == 32)) return kNoOperand;
    found = i;
  }
  return found;
}

void put_memory_at(ZydisEncoderOperand& operand, const HostAddress& place) {
  operand.mem.base = gpr(place.base);
  operand.mem.index = place.index == HostAddress::kNone ? ZYDIS_REGISTER_NONE : gpr(place.index);
  operand.mem.scale = place.index == HostAddress::kNone ? 0 : static_cast<ZyanU8>(1u << place.shift);
  operand.mem.displacement = place.displacement;
}

// Empty where there is no such instruction: AH to DH do not go with the upper eight.
std::string encode(const GuestInstruction& guest, const SpilledRegisters& spilled, const HostAddress* memory,
                   unsigned in_memory = kNoOperand) {
  const Decoded& decoded = guest.decoded;
  ZydisEncoderRequest request;
  if (ZYAN_FAILED(ZydisEncoderDecodedInstructionToEncoderRequest(
          &decoded.instruction, decoded.operands.data(), decoded.instruction.operand_count_visible,
          &request)))
    return {};
  request.prefixes &= ZYDIS_ATTRIB_HAS_LOCK;
  for (unsigned i = 0; i < request.operand_count; ++i) {
    ZydisEncoderOperand& operand = request.operands[i];
    if (operand.type == ZYDIS_OPERAND_TYPE_MEMORY) put_memory_at(operand, *memory);
    if (operand.type != ZYDIS_OPERAND_TYPE_REGISTER || !is_general_register(operand.reg.value)) continue;
    const unsigned number = number_of(operand.reg.value);
    if (i == in_memory) {
      operand.type = ZYDIS_OPERAND_TYPE_MEMORY;
      operand.mem = {};
      operand.mem.size = static_cast<ZyanU16>(decoded.operands[i].size / 8);
      put_memory_at(operand, gpr_in_context(number));
      continue;
    }
    const unsigned host = spilled.host_of(number);
    if (host != number) operand.reg.value = same_part(operand.reg.value, host);
  }
  std::array<std::uint8_t, ZYDIS_MAX_INSTRUCTION_LENGTH> bytes;
  ZyanUSize size = bytes.size();
  if (ZYAN_FAILED(ZydisEncoderEncodeInstruction(&request, bytes.data(), &size))) return {};
  return {reinterpret_cast<const char*>(bytes.data()), size};
}

bool moves_no_register(const GuestInstruction& guest) {
  const Decoded& decoded = guest.decoded;
  for (unsigned i = 0; i < decoded.visible(); ++i) {
    const ZydisDecodedOperand& operand = decoded.operands[i];
    if (operand.type != ZYDIS_OPERAND_TYPE_REGISTER || !is_general_register(operand.reg.value)) continue;
    if (home_of(number_of(operand.reg.value)) != number_of(operand.reg.value)) return false;
  }
  return true;
}

// An encoder may well choose another form; what is left as it is need not be encoded at all.
std::string bytes_of(const GuestInstruction& guest, const SpilledRegisters& spilled,
                     const HostAddress* memory) {
  if (memory == nullptr && moves_no_register(guest))
    return {reinterpret_cast<const char*>(guest.bytes), guest.decoded.instruction.length};
  return spilled.fit() ? encode(guest, spilled, memory) : std::string();
}

}  // namespace

GuestAddress guest_address(const GuestInstruction& guest, std::int32_t behind) {
  const ZydisDecodedOperandMem& memory = guest.memory()->mem;
  GuestAddress address{.displacement = static_cast<std::int32_t>(memory.disp.value)};
  if (memory.base == ZYDIS_REGISTER_RIP) {
    address.from_page = true;
    address.displacement += behind;
  } else if (memory.base != ZYDIS_REGISTER_NONE) {
    address.base = number_of(memory.base);
  }
  if (memory.index != ZYDIS_REGISTER_NONE) {
    address.index = number_of(memory.index);
    address.shift = memory.scale == 8 ? 3 : memory.scale == 4 ? 2 : memory.scale == 2 ? 1 : 0;
  }
  if (memory.segment == ZYDIS_REGISTER_FS || memory.segment == ZYDIS_REGISTER_GS)
    address.segment = static_cast<unsigned>(ZydisRegisterGetId(memory.segment));
  return address;
}

namespace {

// With a register that lies in the context used where it is. False where that can't be.
bool copy_in_context(Emitter& emitter, const GuestInstruction& guest) {
  const unsigned operand = operand_in_context(guest.decoded);
  if (operand == kNoOperand) return false;
  const std::string bytes = encode(guest, SpilledRegisters(guest, {}), nullptr, operand);
  if (bytes.empty()) return false;
  if (guest.needs_flags()) emitter.need_flags();
  emitter.code().raw(bytes.data(), bytes.size());
  if (guest.flags.writes != 0) emitter.flags_written();
  return true;
}

}  // namespace

void copy_instruction(Emitter& emitter, const GuestInstruction& guest) {
  if (copy_in_context(emitter, guest)) return;
  constexpr std::array<unsigned, 2> kBoth{kSecond, kScratch};
  const ZydisDecodedOperand* const memory = guest.memory();
  const SpilledRegisters spilled(guest, std::span(kBoth).first(memory == nullptr ? 2 : 1));
  const std::int32_t behind = emitter.block_offset() + guest.op->offset + guest.decoded.instruction.length;
  AddressPlan plan;
  if (memory != nullptr) plan = plan_address(guest_address(guest, behind));
  const HostAddress place = plan.target();
  const std::string bytes = bytes_of(guest, spilled, memory == nullptr ? nullptr : &place);
  if (bytes.empty()) return emitter.execute_op();
  if (guest.uses_vectors) emitter.need_vectors();
  if (memory != nullptr) emitter.reach(plan, memory->size / 8u, guest.alignment, is_written(*memory));
  if (guest.needs_flags()) emitter.need_flags();
  if (memory == nullptr) emitter.lose_scratch();
  spilled.load(emitter.code());
  emitter.code().raw(bytes.data(), bytes.size());
  spilled.store(emitter.code());
  if (guest.flags.writes != 0) emitter.flags_written();
}

void copy_lea(Emitter& emitter, const GuestInstruction& guest) {
  HostCode& code = emitter.code();
  emitter.lose_scratch();
  const std::int32_t behind = emitter.block_offset() + guest.op->offset + guest.decoded.instruction.length;
  const GuestAddress address = guest_address(guest, behind);
  const auto load = [&code](unsigned number, unsigned spare) {
    if (home_of(number) != kInMemory) return home_of(number);
    code.load(spare, gpr_in_context(number));
    return spare;
  };
  HostAddress sum{.shift = address.shift, .displacement = address.displacement};
  if (address.from_page) {
    code.load(kScratch, in_context(offsetof(CodeContext, page)));
    sum.base = kScratch;
  } else if (address.base != GuestAddress::kNone) {
    sum.base = load(address.base, kScratch);
  } else {
    code.move_immediate(kScratch, 0);
    sum.base = kScratch;
  }
  if (address.index != GuestAddress::kNone) sum.index = load(address.index, kSecond);
  const unsigned number = guest.decoded.register_id(0);
  const bool is_spilled = home_of(number) == kInMemory;
  const unsigned to = is_spilled ? kScratch : home_of(number);
  code.lea(to, sum, guest.decoded.instruction.operand_width == 64);
  if (is_spilled) code.store(to, gpr_in_context(number));
}

}  // namespace berth::engine::soft
