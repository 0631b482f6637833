// Accesses by the same register, between whose changes nothing but constants is added to it.
#include <optional>

#include "engine/soft/guest_instruction.hpp"
#include "x86/cpu_state.hpp"

namespace berth::engine::soft {
namespace {

constexpr std::int32_t kSlot = 8;           // of the stack
constexpr std::int32_t kWidestGroup = 256;  // bytes: the wider, the more often it lies in two pages

unsigned number_of(ZydisRegister name) {
  return static_cast<unsigned>(
      ZydisRegisterGetId(ZydisRegisterGetLargestEnclosing(ZYDIS_MACHINE_MODE_LONG_64, name)));
}

constexpr unsigned kNoIndex = 16;
struct Access {
  unsigned base = 0, index = kNoIndex;
  unsigned scale = 0;
  std::int32_t displacement = 0;
  std::int32_t bytes = 0;
  bool write = false;
};

// The operand in memory, where it is named by registers that lie in the host's.
std::optional<Access> operand_access(const GuestInstruction& guest) {
  const ZydisDecodedOperand* const operand = guest.memory();
  if (operand == nullptr || guest.alignment != 1) return std::nullopt;
  const ZydisDecodedOperandMem& memory = operand->mem;
  if (memory.base == ZYDIS_REGISTER_NONE || memory.base == ZYDIS_REGISTER_RIP) return std::nullopt;
  if (memory.segment == ZYDIS_REGISTER_FS || memory.segment == ZYDIS_REGISTER_GS) return std::nullopt;
  const unsigned base = number_of(memory.base);
  if (home_of(base) == kInMemory) return std::nullopt;
  const bool has_index = memory.index != ZYDIS_REGISTER_NONE;
  const unsigned index = has_index ? number_of(memory.index) : kNoIndex;
  if (has_index && home_of(index) == kInMemory) return std::nullopt;
  constexpr std::int64_t kFar = 1 << 30;  // so that sums stay small
  if (memory.disp.value > kFar || memory.disp.value < -kFar) return std::nullopt;
  return Access{.base = base,
                .index = index,
                .scale = memory.scale,
                .displacement = static_cast<std::int32_t>(memory.disp.value),
                .bytes = operand->size / 8,
                .write = is_written(*operand)};
}

std::optional<Access> access_of(const GuestInstruction& guest) {
  switch (guest.way) {
    case Way::Copy:
    case Way::Divide:
      return operand_access(guest);
    case Way::Push:
    case Way::Call:
      return Access{.base = kRsp, .displacement = -kSlot, .bytes = kSlot, .write = true};
    case Way::Pop:
    case Way::Return:
      return Access{.base = kRsp, .bytes = kSlot};
    case Way::Leave:
      return Access{.base = kRbp, .bytes = kSlot};
    default:
      return std::nullopt;
  }
}

class Grouping {
 public:
  explicit Grouping(std::vector<GuestInstruction>& instructions) : instructions_(instructions) {}

  void run() {
    for (GuestInstruction& guest : instructions_) {
      if (guest.way == Way::Op) {
        forget_all();
        continue;
      }
      const std::optional<Access> access = access_of(guest);
      if (access && !join(guest, *access)) open(guest, *access);
      const unsigned base = access ? access->base : 0;
      const Place before = registers_[base];
      execute(guest);
      const bool counts = registers_[base].version == before.version;
      guest.group.moves = access && counts ? registers_[base].moved - before.moved : 0;
    }
  }

 private:
  // A register's value: that which it had at the start of the version, and what has been added.
  struct Place {
    unsigned version = 0;
    std::int32_t moved = 0;
  };
  struct Group {
    GuestInstruction* leader = nullptr;
    Access access;  // the leader's
    unsigned version = 0, index_version = 0;
    bool write = false;
    std::int32_t start = 0;          // of the leader's operand, from the version's value
    std::int32_t low = 0, high = 0;  // of all
  };

  bool takes(const Group& group, const Access& access, std::int32_t start) const {
    if (group.access.base != access.base || group.version != registers_[access.base].version) return false;
    if (group.access.index != access.index || group.access.scale != access.scale ||
        group.index_version != index_version(access))
      return false;
    return std::max(group.high, start + access.bytes) - std::min(group.low, start) <= kWidestGroup;
  }

  unsigned index_version(const Access& access) const {
    return access.index == kNoIndex ? 0 : registers_[access.index].version;
  }

  bool join(GuestInstruction& guest, const Access& access) {
    const std::int32_t start = registers_[access.base].moved + access.displacement;
    for (Group& group : groups_) {
      if (!takes(group, access, start)) continue;
      AccessGroup& leader = group.leader->group;
      if (leader.role == AccessGroup::Role::Alone) {
        if (slots_ == kSharedReaches) return false;
        leader.role = AccessGroup::Role::Leads;
        leader.slot = slots_++;
      }
      group.low = std::min(group.low, start);
      group.high = std::max(group.high, start + access.bytes);
      leader.low = group.low - group.start;
      leader.bytes = static_cast<std::uint32_t>(group.high - group.low);
      leader.write = group.write |= access.write;
      guest.group = {.role = AccessGroup::Role::Follows, .slot = leader.slot};
      return true;
    }
    return false;
  }

  void open(GuestInstruction& guest, const Access& access) {
    if (guest.op->has(Op::kAlone)) return;
    const Place& place = registers_[access.base];
    const std::int32_t start = place.moved + access.displacement;
    groups_.push_back({.leader = &guest,
                       .access = access,
                       .version = place.version,
                       .index_version = index_version(access),
                       .write = access.write,
                       .start = start,
                       .low = start,
                       .high = start + access.bytes});
  }

  // What the instruction does to the registers.
  void execute(const GuestInstruction& guest) {
    const Decoded& decoded = guest.decoded;
    switch (guest.way) {
      case Way::Push:
        return add(kRsp, -kSlot);
      case Way::Pop:
        add(kRsp, kSlot);
        return change(decoded.register_id(0));
      case Way::Copy:
      case Way::Lea:
      case Way::Divide:
        if (adds_to_stack(decoded)) return;
        return change_operands(decoded);
      case Way::Skip:
      case Way::JumpIf:
        return;
      default:
        return forget_all();
    }
  }

  bool adds_to_stack(const Decoded& decoded) {
    const bool adds = decoded.mnemonic() == ZYDIS_MNEMONIC_ADD;
    if (!adds && decoded.mnemonic() != ZYDIS_MNEMONIC_SUB) return false;
    if (!decoded.is_register(0) || decoded.operands[0].reg.value != ZYDIS_REGISTER_RSP ||
        !decoded.is_immediate(1))
      return false;
    constexpr std::int64_t kMost = 1 << 20;
    const std::int64_t value = decoded.operands[1].imm.value.s;
    if (value > kMost || value < -kMost) return false;
    add(kRsp, static_cast<std::int32_t>(adds ? value : -value));
    return true;
  }

  void change_operands(const Decoded& decoded) {
    for (unsigned i = 0; i < decoded.instruction.operand_count; ++i) {
      const ZydisDecodedOperand& operand = decoded.operands[i];
      if (operand.type == ZYDIS_OPERAND_TYPE_REGISTER && is_written(operand) &&
          is_general_register(operand.reg.value))
        change(number_of(operand.reg.value));
    }
  }

  void add(unsigned reg, std::int32_t value) { registers_[reg].moved += value; }
  void change(unsigned reg) { registers_[reg] = {.version = ++versions_, .moved = 0}; }
  void forget_all() {
    for (unsigned reg = 0; reg < registers_.size(); ++reg) change(reg);
    groups_.clear();
  }

  std::vector<GuestInstruction>& instructions_;
  std::array<Place, 16> registers_{};
  unsigned versions_ = 0, slots_ = 0;
  std::vector<Group> groups_;
};

}  // namespace

void group_accesses(std::vector<GuestInstruction>& instructions) { Grouping(instructions).run(); }

}  // namespace berth::engine::soft
