#include "engine/soft/decoder.hpp"

#include <algorithm>

#include "engine/soft/decoded.hpp"
#include "engine/soft/native_ops.hpp"
#include "engine/soft/run.hpp"

namespace berth::engine::soft {
namespace {

using x86::Execution;

constexpr std::size_t kLongestBlock = 64;  // instructions
constexpr std::size_t kMostOps = 2 * kLongestBlock + 3;

const Op* undefined_instruction(Cpu& cpu, const Op*) { raise(cpu, x86::Vector::Ud); }
const Op* require_kernel(Cpu& cpu, const Op* op) {
  if (cpu.cpl != 0) raise(cpu, x86::Vector::Gp);
  return op + 1;
}
const Op* require_unit(Cpu& cpu, const Op* op) {
  check_unit(cpu, static_cast<x86::Unit>(op->immediate), op->operand_bytes != 0);
  return op + 1;
}
// An instruction longer than 15 bytes.
const Op* too_long(Cpu& cpu, const Op*) { raise(cpu, x86::Vector::Gp); }

std::uint8_t gpr_offset(ZydisRegister name) {
  if (name == ZYDIS_REGISTER_NONE) return kZeroRegister;
  if (name == ZYDIS_REGISTER_RIP || name == ZYDIS_REGISTER_EIP) return kRipRegister;
  const auto number = static_cast<unsigned>(ZydisRegisterGetId(name));
  if (ZydisRegisterGetClass(name) == ZYDIS_REGCLASS_GPR8) {
    if (name >= ZYDIS_REGISTER_AH && name <= ZYDIS_REGISTER_BH)
      return static_cast<std::uint8_t>((number - 4) * 8 + 1);
    return static_cast<std::uint8_t>((number < 4 ? number : number - 4) * 8);
  }
  return static_cast<std::uint8_t>(number * 8);
}

std::uint8_t segment_of(const ZydisDecodedOperandMem& memory, bool is_64bit) {
  const auto number = static_cast<std::uint8_t>(ZydisRegisterGetId(memory.segment));
  if (!is_64bit || memory.segment == ZYDIS_REGISTER_FS || memory.segment == ZYDIS_REGISTER_GS) return number;
  return memory.segment == ZYDIS_REGISTER_SS ? kFlatStackSegment : kFlatSegment;
}

void describe_memory(const Decoded& decoded, const ZydisDecodedOperandMem& memory, Op& op) {
  op.flags |= Op::kMemory;
  op.base = gpr_offset(memory.base);
  op.index = gpr_offset(memory.index);
  op.scale = memory.scale == 8 ? 3 : memory.scale == 4 ? 2 : memory.scale == 2 ? 1 : 0;
  op.displacement = static_cast<std::int32_t>(memory.disp.value);
  if (op.base == kRipRegister) op.displacement += op.offset + op.length;
  op.segment = segment_of(memory, decoded.is_64bit);
  if (!decoded.is_64bit || op.address_bytes != 8) op.flags |= Op::kSlowAddress;
}

void describe_operands(const Decoded& decoded, Op& op) {
  op.address_bytes = static_cast<std::uint8_t>(decoded.instruction.address_width / 8);
  op.operand_bytes = static_cast<std::uint8_t>(decoded.instruction.operand_width / 8);
  const auto attributes = decoded.instruction.attributes;
  if ((attributes & ZYDIS_ATTRIB_HAS_LOCK) != 0) op.flags |= Op::kLock;
  if ((attributes & (ZYDIS_ATTRIB_HAS_REP | ZYDIS_ATTRIB_HAS_REPE)) != 0) op.flags |= Op::kRep;
  if ((attributes & ZYDIS_ATTRIB_HAS_REPNE) != 0) op.flags |= Op::kRepne;
  for (unsigned i = 0; i < decoded.instruction.operand_count; ++i) {
    const ZydisDecodedOperand& operand = decoded.operands[i];
    const bool visible = operand.visibility != ZYDIS_OPERAND_VISIBILITY_HIDDEN;
    if (operand.type == ZYDIS_OPERAND_TYPE_MEMORY) {
      // Of string instructions' two, the one that a prefix can move.
      if (visible || (operand.mem.segment != ZYDIS_REGISTER_ES && !op.has(Op::kMemory))) {
        describe_memory(decoded, operand.mem, op);
        if (!visible) op.flags &= static_cast<std::uint8_t>(~(Op::kMemory | Op::kSlowAddress));
      }
    } else if (visible && operand.type == ZYDIS_OPERAND_TYPE_REGISTER &&
               is_general_register(operand.reg.value)) {
      (i == 0 ? op.dst : op.src) = gpr_offset(operand.reg.value);
    } else if (visible && operand.type == ZYDIS_OPERAND_TYPE_IMMEDIATE) {
      op.flags |= Op::kImmediate;
      op.immediate = operand.imm.value.u;
    }
  }
}

Handler select_engine(const Decoded& decoded, Op& op) {
  constexpr auto kGroups = std::to_array<Handler (*)(const Decoded&, Op&)>(
      {select_arithmetic, select_move, select_shift, select_bits, select_divide, select_flags, select_stack,
       select_branch, select_string, select_segment, select_control, select_msr, select_port,
       select_fast_call, select_far, select_float_state, select_masked, select_legacy});
  for (const auto group : kGroups) {
    const Op before = op;
    if (const Handler handler = group(decoded, op)) return handler;
    op = before;
  }
  return undefined_instruction;
}

// Zydis 4.0 takes a SIB byte without a base for one with R13 where REX.B is set and the address has 32 bits.
void mend_missing_base(Decoded& decoded) {
  const ZydisDecodedInstruction& instruction = decoded.instruction;
  const auto& sib = instruction.raw.sib;
  const bool has_sib = (instruction.attributes & ZYDIS_ATTRIB_HAS_SIB) != 0;
  if (!has_sib || instruction.raw.modrm.mod != 0 || sib.base != 5) return;
  for (ZydisDecodedOperand& operand : decoded.operands) {
    if (operand.type != ZYDIS_OPERAND_TYPE_MEMORY || operand.visibility == ZYDIS_OPERAND_VISIBILITY_HIDDEN)
      continue;
    operand.mem.base = ZYDIS_REGISTER_NONE;
    operand.mem.disp.has_displacement = true;
    operand.mem.disp.value = instruction.raw.disp.value;
  }
}

// One block in the making.
class BlockWriter {
 public:
  BlockWriter(const CodeWindow& window, const ZydisDecoder& decoder, NativeCodeCache& natives)
      : window_(window), decoder_(decoder), natives_(natives) {}

  DecodeOutcome run() {
    const std::size_t most =
        (window_.kind & block_kind::kSingle) != 0 || window_.second_page != Block::kNoPage ? 1
                                                                                           : kLongestBlock;
    if (block().is_translatable() && window_.second_page == Block::kNoPage) add().run = count_or_enter;
    for (std::size_t n = 0; n < most; ++n) {
      const Step step = add_instruction();
      if (step == Step::Short) {
        if (n == 0) return DecodeOutcome::Short;
        break;
      }
      if (step == Step::Last) break;
    }
    Op& end = add();
    end.run = (window_.kind & block_kind::kSingle) != 0 ? stop_behind : continue_behind;
    end.displacement = static_cast<std::int32_t>(offset_);
    end.operand_bytes = 8;
    end.link = nullptr;
    return DecodeOutcome::Done;
  }
  Block block() const {
    return {.physical = window_.physical,
            .second_page = offset_ > 4096 - (window_.physical & 4095) ? window_.second_page : Block::kNoPage,
            .kind = window_.kind,
            .bytes = static_cast<std::uint16_t>(offset_),
            .count = static_cast<std::uint16_t>(count_)};
  }
  const Op* ops() const { return ops_.data(); }

 private:
  enum class Step : std::uint8_t { Next, Last, Short };

  Op& add() {
    Op& op = ops_[count_++];
    op = Op{};
    op.offset = static_cast<std::uint16_t>(offset_);
    return op;
  }

  Step add_instruction() {
    Decoded decoded{};
    const std::size_t left = window_.size - offset_;
    const std::size_t size = std::min<std::size_t>(left, ZYDIS_MAX_INSTRUCTION_LENGTH);
    const ZyanStatus status = ZydisDecoderDecodeFull(&decoder_, window_.bytes + offset_, size,
                                                     &decoded.instruction, decoded.operands.data());
    if (status == ZYDIS_STATUS_NO_MORE_DATA && left < ZYDIS_MAX_INSTRUCTION_LENGTH) return Step::Short;
    if (ZYAN_FAILED(status)) return refuse(status);
    mend_missing_base(decoded);
    decoded.is_64bit = (window_.kind & block_kind::kMode) == static_cast<unsigned>(OperatingMode::Bits64);
    decoded.is_32bit = (window_.kind & block_kind::kMode) == static_cast<unsigned>(OperatingMode::Bits32);
    return add_decoded(decoded);
  }

  Step refuse(ZyanStatus status) {
    Op& op = add();
    const bool is_too_long =
        status == ZYDIS_STATUS_INSTRUCTION_TOO_LONG || status == ZYDIS_STATUS_NO_MORE_DATA;
    op.run = is_too_long ? too_long : undefined_instruction;
    offset_ += 1;
    return Step::Last;
  }

  void add_checks(const x86::Treatment& treatment, const Decoded& decoded) {
    const bool special = decoded.mnemonic() == ZYDIS_MNEMONIC_MOV && is_special_move(decoded);
    if (treatment.privilege == x86::Privilege::Kernel || special) add().run = require_kernel;
    if (treatment.execution == Execution::Engine && treatment.unit != x86::Unit::Integer) {
      Op& check = add();
      check.run = require_unit;
      check.immediate = static_cast<std::uint64_t>(treatment.unit);
      const bool waits =
          decoded.mnemonic() == ZYDIS_MNEMONIC_FLDENV || decoded.mnemonic() == ZYDIS_MNEMONIC_FRSTOR;
      check.operand_bytes = waits ? 1 : 0;
    }
  }

  Step add_decoded(const Decoded& decoded) {
    const x86::Treatment treatment = x86::treatment_of(decoded.instruction);
    add_checks(treatment, decoded);
    Op& op = add();
    op.length = decoded.instruction.length;
    describe_operands(decoded, op);
    switch (treatment.execution) {
      case Execution::Refused:
        op.run = undefined_instruction;
        break;
      case Execution::Engine:
        op.run = select_engine(decoded, op);
        break;
      case Execution::Native:
        make_native(decoded, treatment.unit, op);
        break;
    }
    offset_ += decoded.instruction.length;
    return op.run == undefined_instruction || ends_block(decoded) ? Step::Last : Step::Next;
  }

  void make_native(const Decoded& decoded, x86::Unit unit, Op& op) {
    const NativeCode* code = natives_.get(decoded.instruction, decoded.operands.data(), unit);
    op.run = code != nullptr ? native_handler(*code) : undefined_instruction;
    op.native = code;
  }

  const CodeWindow& window_;
  const ZydisDecoder& decoder_;
  NativeCodeCache& natives_;
  std::array<Op, kMostOps + kLongestBlock> ops_;
  static_assert(kMostOps + kLongestBlock <= BlockCache::kMostOps);
  std::size_t count_ = 0;
  std::size_t offset_ = 0;
};

}  // namespace

bool ends_block(const Decoded& decoded) {
  switch (decoded.instruction.meta.category) {
    case ZYDIS_CATEGORY_UNCOND_BR:
    case ZYDIS_CATEGORY_CALL:
    case ZYDIS_CATEGORY_RET:
    case ZYDIS_CATEGORY_SYSCALL:
    case ZYDIS_CATEGORY_SYSRET:
    case ZYDIS_CATEGORY_INTERRUPT:
      return true;
    default:
      return false;
  }
}

Result<Decoder> Decoder::create() { return Decoder(TRY(NativeCodeCache::create())); }

Decoder::Decoder(NativeCodeCache natives) : natives_(std::move(natives)) {
  const auto init = [this](OperatingMode mode, ZydisMachineMode machine, ZydisStackWidth width) {
    BERTH_ASSERT(ZYAN_SUCCESS(ZydisDecoderInit(&decoders_[static_cast<std::size_t>(mode)], machine, width)));
  };
  init(OperatingMode::Bits16, ZYDIS_MACHINE_MODE_LEGACY_16, ZYDIS_STACK_WIDTH_16);
  init(OperatingMode::Bits32, ZYDIS_MACHINE_MODE_LEGACY_32, ZYDIS_STACK_WIDTH_32);
  init(OperatingMode::Bits64, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
}

void Decoder::make_room(BlockCache& cache, Translator& translator, PageSlots& slots) {
  if (!cache.is_full() && !natives_.is_full() && !translator.is_full()) return;
  cache.clear();
  translator.clear(slots);
  natives_.clear();
}

DecodeOutcome Decoder::decode(BlockCache& cache, const CodeWindow& window, Block*& block) {
  BlockWriter writer(window, decoders_[window.kind & block_kind::kMode], natives_);
  if (writer.run() == DecodeOutcome::Short) return DecodeOutcome::Short;
  block = cache.insert(writer.block(), writer.ops());
  return DecodeOutcome::Done;
}

}  // namespace berth::engine::soft
