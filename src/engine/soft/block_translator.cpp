#include "engine/soft/block_translator.hpp"

#include <algorithm>

#include "engine/soft/condition.hpp"
#include "engine/soft/emitter.hpp"
#include "engine/soft/instruction_copy.hpp"

namespace berth::engine::soft {
namespace {

constexpr std::int32_t kSlot = 8;  // of the stack

std::vector<GuestInstruction>& kept_instructions() {
  thread_local std::vector<GuestInstruction> instructions;
  return instructions;
}

class BlockTranslator {
 public:
  BlockTranslator(const TranslationJob& job, HostCode& code)
      : code_(code), emitter_(job, code), instructions_(kept_instructions()), bytes_(job.block->bytes) {
    read_block(job, instructions_);
  }

  void run() {
    if (loops()) emitter_.expect_loop();
    emitter_.begin(instructions_.empty() || instructions_.front().live_before != 0);
    for (const GuestInstruction& guest : instructions_) {
      emitter_.select(guest);
      translate(guest);
      emitter_.end_instruction();
    }
    if (!leads_away_) emitter_.leave_to(emitter_.block_offset() + bytes_);
    emitter_.finish();
  }

 private:
  bool loops() const {
    return std::any_of(instructions_.begin(), instructions_.end(), [this](const GuestInstruction& guest) {
      const bool jumps = guest.way == Way::Jump || guest.way == Way::JumpIf;
      return jumps && target_of(guest) == emitter_.block_offset();
    });
  }

  void translate(const GuestInstruction& guest) {
    switch (guest.way) {
      case Way::Op:
        return emitter_.execute_op();
      case Way::Copy:
        return copy_instruction(emitter_, guest);
      case Way::Skip:
        return;
      case Way::Lea:
        return copy_lea(emitter_, guest);
      case Way::Divide:
        return divide(guest);
      case Way::Push:
        return push(guest);
      case Way::Pop:
        return pop(guest);
      case Way::Leave:
        return leave();
      case Way::Jump:
        leads_away_ = true;
        return emitter_.leave_to(target_of(guest));
      case Way::JumpIf:
        return emitter_.leave_if(condition_of(guest.decoded.instruction), target_of(guest));
      case Way::JumpIndirect:
        leads_away_ = true;
        return jump_indirect(guest);
      case Way::Call:
        leads_away_ = true;
        push_return(guest);
        return emitter_.leave_to(target_of(guest));
      case Way::CallIndirect:
        leads_away_ = true;
        return call_indirect(guest);
      case Way::Return:
        leads_away_ = true;
        return return_near(guest);
    }
  }

  std::int32_t behind(const GuestInstruction& guest) const {
    return emitter_.block_offset() + guest.op->offset + guest.decoded.instruction.length;
  }
  // From the start of the page.
  std::int32_t target_of(const GuestInstruction& guest) const {
    return behind(guest) + static_cast<std::int32_t>(guest.decoded.operands[0].imm.value.s);
  }

  AddressPlan stack(std::int32_t displacement) const {
    return plan_address({.base = kRsp, .displacement = displacement});
  }
  void move_stack(std::int32_t by) { code_.lea(kGuestStack, {.base = kGuestStack, .displacement = by}); }

  void push(const GuestInstruction& guest) {
    const AddressPlan place = stack(-kSlot);
    emitter_.reach(place, kSlot, 1, true);
    if (guest.decoded.is_immediate(0)) {
      code_.store_immediate(static_cast<std::int32_t>(guest.decoded.operands[0].imm.value.s), place.target());
    } else {
      code_.store(in_register(guest.decoded.register_id(0), kSecond), place.target());
    }
    move_stack(-kSlot);
  }

  // The host's register that holds the guest's: `spare`, loaded, where it lies in the context.
  unsigned in_register(unsigned guest, unsigned spare) {
    if (home_of(guest) != kInMemory) return home_of(guest);
    code_.load(spare, gpr_in_context(guest));
    return spare;
  }
  void pop(const GuestInstruction& guest) {
    const AddressPlan place = stack(0);
    emitter_.reach(place, kSlot, 1, false);
    const unsigned to = guest.decoded.register_id(0), home = home_of(to);
    code_.load(home == kInMemory ? kSecond : home, place.target());
    if (home == kInMemory) code_.store(kSecond, gpr_in_context(to));
    if (to != kRsp) move_stack(kSlot);
  }

  void leave() {
    const AddressPlan place = plan_address({.base = kRbp});
    emitter_.reach(place, kSlot, 1, false);
    code_.load(kScratch, place.target());
    code_.lea(kGuestStack, {.base = kRbp, .displacement = kSlot});
    code_.move(kRbp, kScratch);
    emitter_.lose_scratch();
  }

  void push_return(const GuestInstruction& guest) {
    const AddressPlan place = stack(-kSlot);
    emitter_.reach(place, kSlot, 1, true);
    code_.load(kSecond, in_context(offsetof(CodeContext, page)));
    code_.lea(kSecond, {.base = kSecond, .displacement = behind(guest)});
    code_.store(kSecond, place.target());
    move_stack(-kSlot);
  }

  // By kSecond, which becomes the divisor; all that might be a divide error is left to the Op, and so are
  // some divisions that are none.
  void divide(const GuestInstruction& guest) {
    const bool wide = guest.decoded.instruction.operand_width == 64;
    emitter_.about_to_clobber_flags();
    emitter_.lose_scratch();
    if (guest.decoded.is_memory(0)) {
      const AddressPlan place = plan_address(guest_address(guest, behind(guest)));
      emitter_.reach(place, wide ? 8 : 4, 1, false);
      code_.with_memory(0x8b, kSecond, place.target(), wide);
    } else {
      const unsigned reg = in_register(guest.decoded.register_id(0), kSecond);
      if (reg != kSecond) code_.with_register(0x89, reg, kSecond, wide);
    }
    const bool is_signed = guest.decoded.mnemonic() == ZYDIS_MNEMONIC_IDIV;
    if (is_signed) {
      expect_extended_dividend(wide);
    } else {
      code_.with_register(0x39, kSecond, kRdx, wide);  // cmp: the quotient fits below the divisor
      emitter_.otherwise_execute_op(code_.jump_if(HostCode::kNotBelow));
    }
    code_.with_register(0xf7, is_signed ? 7 : 6, kSecond, wide);
  }

  // The Op's, unless the dividend is one register's, extended by its sign, and the divisor neither 0 nor -1.
  void expect_extended_dividend(bool wide) {
    code_.lea(kScratch, {.base = kSecond, .displacement = 1}, wide);
    code_.with_register(0x83, 7, kScratch, wide);  // cmp
    code_.bytes({1});
    emitter_.otherwise_execute_op(code_.jump_if(HostCode::kNotAbove));
    code_.with_register(0x89, kRax, kScratch, wide);
    code_.with_register(0xc1, 7, kScratch, wide);  // sar
    code_.bytes({wide ? 63u : 31u});
    code_.with_register(0x39, kScratch, kRdx, wide);
    emitter_.otherwise_execute_op(code_.jump_if(HostCode::kNotEqual));
  }

  // kScratch becomes where an indirect branch leads.
  void load_target(const GuestInstruction& guest) {
    if (!guest.decoded.is_memory(0)) {
      emitter_.about_to_clobber_flags();
      const unsigned reg = in_register(guest.decoded.register_id(0), kScratch);
      if (reg != kScratch) code_.move(kScratch, reg);
      return;
    }
    const AddressPlan place = plan_address(guest_address(guest, behind(guest)));
    emitter_.reach(place, kSlot, 1, false);
    code_.load(kScratch, place.target());
  }
  void find_jump() { emitter_.otherwise_execute_op(emitter_.find_jump()); }
  void enter_page() {
    constexpr std::int32_t kPageStart = -4096;
    code_.and_immediate(kScratch, kPageStart);
    code_.store(kScratch, in_context(offsetof(CodeContext, page)));
  }

  void jump_indirect(const GuestInstruction& guest) {
    load_target(guest);
    find_jump();
    enter_page();
    code_.jump_to_memory(emitter_.jump_entry(offsetof(Tlb::Jump, code)));
  }

  void call_indirect(const GuestInstruction& guest) {
    load_target(guest);
    find_jump();
    code_.load(kSecond, emitter_.jump_entry(offsetof(Tlb::Jump, code)));
    code_.store(kSecond, in_context(offsetof(CodeContext, jump_code)));
    code_.store(kScratch, in_context(offsetof(CodeContext, jump_page)));
    push_return(guest);
    code_.load(kScratch, in_context(offsetof(CodeContext, jump_page)));
    enter_page();
    code_.jump_to_memory(in_context(offsetof(CodeContext, jump_code)));
  }

  void return_near(const GuestInstruction& guest) {
    const auto extra = guest.decoded.visible() > 0
                           ? static_cast<std::int32_t>(guest.decoded.operands[0].imm.value.u & 0xffff)
                           : 0;
    const AddressPlan place = stack(0);
    emitter_.about_to_clobber_flags();  // find_jump() does
    emitter_.reach(place, kSlot, 1, false);
    code_.load(kScratch, place.target());
    find_jump();
    move_stack(kSlot + extra);
    enter_page();
    code_.jump_to_memory(emitter_.jump_entry(offsetof(Tlb::Jump, code)));
  }

  HostCode& code_;
  Emitter emitter_;
  std::vector<GuestInstruction>& instructions_;
  std::int32_t bytes_;
  bool leads_away_ = false;
};

}  // namespace

void translate_block(const TranslationJob& job, HostCode& code) { BlockTranslator(job, code).run(); }

}  // namespace berth::engine::soft
