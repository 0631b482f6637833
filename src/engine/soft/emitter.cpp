#include "engine/soft/emitter.hpp"

#include <bit>
#include <new>

namespace berth::engine::soft {
namespace {

constexpr std::int32_t kPage = 4096;

constexpr std::size_t base_slot(unsigned segment) {
  return offsetof(CodeContext, segment_base) + segment * sizeof(std::uint64_t);
}

constexpr HostAddress addend_in_context(unsigned slot) {
  return in_context(offsetof(CodeContext, addends) + slot * sizeof(std::uint64_t));
}

}  // namespace

HostAddress AddressPlan::target() const {
  if (is_two_registers())
    return {.base = kScratch, .index = terms[1].reg, .shift = terms[1].shift, .displacement = displacement};
  if (!is_simple()) return {.base = kScratch};
  if (term_count == 0) return {.base = kScratch, .displacement = displacement};
  return {.base = kScratch, .index = terms[0].reg, .shift = terms[0].shift, .displacement = displacement};
}

bool AddressPlan::is_stack() const {
  return !spilled_index && place_count == 0 && term_count == 1 && terms[0].reg == kGuestStack &&
         terms[0].shift == 0;
}

std::optional<HostAddress> AddressPlan::sum() const {
  constexpr std::int32_t kMost = 1 << 30;  // something may still be added
  if (spilled_index || place_count != 0 || term_count == 0 || terms[0].shift != 0 || displacement > kMost)
    return std::nullopt;
  HostAddress address{.base = terms[0].reg, .displacement = displacement};
  if (term_count == 2) {
    address.index = terms[1].reg;
    address.shift = terms[1].shift;
  }
  return address;
}

AddressPlan plan_address(const GuestAddress& address) {
  AddressPlan plan{.displacement = address.displacement};
  const auto add_place = [&plan](std::size_t offset) { plan.places[plan.place_count++] = offset; };
  if (address.from_page) add_place(offsetof(CodeContext, page));
  if (address.segment != GuestAddress::kNone) add_place(base_slot(address.segment));
  if (address.base != GuestAddress::kNone) {
    const unsigned home = home_of(address.base);
    if (home == kInMemory) {
      add_place(address.base * sizeof(std::uint64_t));
    } else {
      plan.terms[plan.term_count++] = {.reg = home, .shift = 0};
    }
  }
  if (address.index != GuestAddress::kNone) {
    const unsigned home = home_of(address.index);
    if (home == kInMemory) {
      plan.spilled_index = address.index;
      plan.spilled_shift = address.shift;
    } else {
      plan.terms[plan.term_count++] = {.reg = home, .shift = address.shift};
    }
  }
  return plan;
}

Emitter::Emitter(const TranslationJob& job, HostCode& code)
    : job_(job),
      code_(code),
      block_offset_(static_cast<std::int32_t>(job.block->physical & ~kPageMask)),
      tlb_(offsetof(CodeContext, tlbs) + (job.block->kind >> block_kind::kTlbShift) * sizeof(Tlb)) {}

HostAddress Emitter::tlb_entry(std::size_t field) const {
  return {.base = kRsp,
          .index = kSecond,
          .displacement = static_cast<std::int32_t>(tlb_ + offsetof(Tlb, entries) + field)};
}
HostAddress Emitter::jump_entry(std::size_t field) const {
  return {.base = kRsp,
          .index = kSecond,
          .displacement = static_cast<std::int32_t>(tlb_ + offsetof(Tlb, jumps) + field)};
}

// Looks whether something wants attention. The first five bytes may be overwritten by a jump out.
void Emitter::begin(bool flags_live) {
  const HostAddress attention = in_context(offsetof(CodeContext, attention));
  Block& block = *job_.block;
  block.code_loading_flags = code_.address(code_.at());
  if (flags_live) load_flags(code_, kScratch);
  head_ = code_.at();
  block.code = code_.address(head_);
  block.head = code_.writable(head_);
  if (!flags_live) {
    code_.compare32_with_zero(attention);
    out_ = code_.jump_if(HostCode::kNotEqual);
    return;
  }
  constexpr unsigned kJumpOut = 3 + 5;
  code_.move(kScratch, kRcx);
  code_.with_memory(0x8b, kRcx, attention, false);
  code_.bytes({0xe3, kJumpOut});  // jrcxz: the one branch that looks at no flags
  code_.move(kRcx, kScratch);
  out_ = code_.jump();
  code_.move(kRcx, kScratch);
}

void Emitter::about_to_clobber_flags() {
  if (guest_->live_before != 0 && !flags_in_context_) {
    BERTH_ASSERT(flags_in_host_);
    save_flags(code_, kSecond);
    flags_in_context_ = true;
  }
  flags_in_host_ = false;
}

void Emitter::need_flags() {
  if (flags_in_host_) return;
  load_flags(code_, kSecond);
  flags_in_host_ = true;
}

void Emitter::flags_written() {
  flags_in_host_ = true;
  flags_in_context_ = false;
}

void Emitter::need_vectors() {
  if (vectors_loaded_) return;
  about_to_clobber_flags();
  code_.compare32_with_zero(in_context(offsetof(CodeContext, vectors_loaded)));
  const std::size_t branch = code_.jump_if(HostCode::kEqual);
  vector_loads_.push_back({.branch = branch, .resume = code_.at()});
  vectors_loaded_ = true;
}

void Emitter::call_op(const Op* op) {
  code_.move_address(kScratch, op);
  code_.move_immediate(kSecond, block_offset_);
  code_.aim(code_.call(), job_.stubs->execute);
}

void Emitter::execute_op() {
  if (guest_->live_before != 0 && !flags_in_context_) save_flags(code_, kScratch);
  call_op(guest_->op);
  flags_in_host_ = flags_in_context_ = true;
  vectors_loaded_ = false;
  established_.reset();
  lose_scratch();
}

// kScratch becomes the linear address; kSecond is lost.
void Emitter::write_address(const AddressPlan& plan) {
  HostAddress sum{.displacement = plan.displacement};
  unsigned used = 0;
  if (plan.place_count > 0) {
    code_.load(kScratch, in_context(plan.places[0]));
    for (unsigned i = 1; i < plan.place_count; ++i) code_.add(kScratch, in_context(plan.places[i]));
    sum.base = kScratch;
  } else if (plan.term_count > 0 && plan.terms[0].shift == 0) {
    sum.base = plan.terms[used++].reg;
  } else {
    code_.move_immediate(kScratch, 0);
    sum.base = kScratch;
  }
  if (used < plan.term_count) {
    sum.index = plan.terms[used].reg;
    sum.shift = plan.terms[used++].shift;
  }
  code_.lea(kScratch, sum);
  if (used < plan.term_count)
    code_.lea(kScratch, {.base = kScratch, .index = plan.terms[used].reg, .shift = plan.terms[used].shift});
  if (plan.spilled_index) {
    code_.load(kSecond, gpr_in_context(*plan.spilled_index));
    code_.lea(kScratch, {.base = kScratch, .index = kSecond, .shift = plan.spilled_shift});
  }
}

// kScratch is lost, and so is kSecond: that then leads to the entry.
std::size_t Emitter::look_up(const AddressPlan& plan, const Reach& reach) {
  constexpr unsigned kEntryShift = 5;
  static_assert(sizeof(Tlb::Entry) == 1u << kEntryShift);
  const std::int32_t last = reach.alignment == 1 ? static_cast<std::int32_t>(reach.bytes - 1) : 0;
  std::optional<HostAddress> sum = plan.sum();
  if (sum) {
    if (sum->displacement == 0 && sum->index == HostAddress::kNone) {
      code_.move(kSecond, sum->base);  // takes no time
    } else {
      code_.lea(kSecond, *sum);
    }
    sum->displacement += last;
    code_.lea(kScratch, *sum);
  } else {
    write_address(plan);
    if (!plan.is_simple()) code_.store(kScratch, in_context(offsetof(CodeContext, scratch)));
    code_.move(kSecond, kScratch);
    if (last != 0) code_.lea(kScratch, {.base = kScratch, .displacement = last});
  }
  code_.shift_right(kSecond, 12 - kEntryShift);
  code_.and_immediate(kSecond, (Tlb::kEntries - 1) << kEntryShift, false);
  code_.and_immediate(kScratch, -kPage | static_cast<std::int32_t>(reach.alignment - 1));
  code_.compare(kScratch, tlb_entry(reach.write ? offsetof(Tlb::Entry, write) : offsetof(Tlb::Entry, read)));
  return code_.jump_if(HostCode::kNotEqual);
}

HostAddress Emitter::stack_page(std::size_t field) const {
  const auto number = job_.block->kind >> block_kind::kTlbShift;
  return in_context(offsetof(CodeContext, slots) + offsetof(PageSlots, stacks) + number * sizeof(StackPage) +
                    field);
}

// kScratch is lost.
AddendPlace Emitter::look_at_stack(const AddressPlan& plan, const Reach& reach) {
  write_address(plan);
  const auto size = static_cast<unsigned>(std::bit_width((reach.bytes + 7) / 8 - 1));
  code_.with_memory(0x2b, kScratch, stack_page(offsetof(StackPage, page)));  // sub
  code_.compare(kScratch, stack_page(offsetof(StackPage, limits) + size * sizeof(std::uint64_t)));
  const AddendPlace place{.stack = true};
  note_miss({.branch = code_.jump_if(HostCode::kNotBelow), .place = place, .reach = reach});
  return place;
}

void Emitter::note_miss(SlotMiss miss) {
  miss.resume = code_.at();
  miss.path = slow_paths_.size();
  slot_misses_.push_back(miss);
  misses_slot_ = true;
}

// kScratch is lost.
AddendPlace Emitter::look_at_slot(const AddressPlan& plan, const Reach& reach) {
  write_address(plan);
  if (!plan.is_simple() && !plan.is_two_registers())
    code_.store(kScratch, in_context(offsetof(CodeContext, scratch)));
  const AddendPlace place{.slot = *job_.slots -= sizeof(PageSlot)};
  const auto bits = static_cast<unsigned>(std::countr_zero(reach.alignment));
  const unsigned last = reach.bytes - 1;
  new (*job_.slots) PageSlot{
      .full_limit = static_cast<std::uint16_t>(bits != 0 ? kPage >> bits : kPage - static_cast<int>(last)),
      .last = static_cast<std::uint8_t>(last),
      .alignment_mask = static_cast<std::uint8_t>(reach.alignment - 1),
      .misses_left = PageSlot::kPatience};
  code_.with_place(0x2b, kScratch, place.slot + offsetof(PageSlot, page));  // sub
  if (bits != 0) code_.rotate_right(kScratch, bits);
  code_.with_place(0x3b, kScratch, place.slot + offsetof(PageSlot, limit));  // cmp
  note_miss({.branch = code_.jump_if(HostCode::kNotBelow), .place = place, .reach = reach, .rotated = bits});
  return place;
}

void Emitter::load_addend(const AddendPlace& place) {
  if (place.stack) return code_.load(kScratch, stack_page(offsetof(StackPage, addend)));
  if (place.slot == nullptr) return code_.load(kScratch, addend_in_context(place.number));
  code_.with_place(0x8b, kScratch, place.slot + offsetof(PageSlot, addend));
}

// kScratch, an addend, becomes the part of plan.target() that it is. Leaves the flags alone.
void Emitter::add_base(const AddressPlan& plan) {
  if (plan.is_two_registers()) code_.lea(kScratch, {.base = kScratch, .index = plan.terms[0].reg});
}

// kScratch becomes the part of plan.target() that it is. Where the addend is found in the TLB's entry, it is
// kept at `place` for others, if there are any.
void Emitter::go_to_page(const AddressPlan& plan, const AddendPlace& place, bool from_entry, bool is_shared) {
  if (from_entry) {
    code_.load(kScratch, tlb_entry(offsetof(Tlb::Entry, addend)));
  } else {
    load_addend(place);
  }
  if (is_shared && (from_entry || place.stack)) code_.store(kScratch, addend_in_context(place.number));
  add_base(plan);
  if (plan.is_two_registers()) return;
  if (!plan.is_simple()) return code_.add(kScratch, in_context(offsetof(CodeContext, scratch)));
  if (plan.place_count == 1) code_.add(kScratch, in_context(plan.places[0]));
}

void Emitter::reach(const AddressPlan& plan, unsigned bytes, unsigned alignment, bool write) {
  const AccessGroup& group = guest_->group;
  if (group.role == AccessGroup::Role::Follows && established_[group.slot]) {
    if (scratch_holds_ != group.slot) load_addend(addends_[group.slot]);
    scratch_holds_ = group.slot;
    if (plan.is_two_registers()) lose_scratch();
    return add_base(plan);
  }
  lose_scratch();
  about_to_clobber_flags();
  const bool leads = group.role == AccessGroup::Role::Leads;
  const Reach reach = leads ? Reach{.bytes = group.bytes, .write = group.write}
                            : Reach{.bytes = bytes, .alignment = alignment, .write = write};
  AddressPlan whole = plan;
  if (leads) whole.displacement += group.low;
  AddendPlace place;
  bool from_entry = false;
  if (plan.is_stack() && reach.alignment == 1) {
    place = look_at_stack(whole, reach);
  } else if (guest_->op->has(Op::kRoams) ||
             (!loops_ && job_.block->kind >> block_kind::kTlbShift != kUserTlb)) {
    otherwise_execute_op(look_up(whole, reach));
    from_entry = true;
  } else {
    place = look_at_slot(whole, reach);
  }
  place.number = group.slot;
  go_to_page(plan, place, from_entry, leads);
  if (!leads) return;
  // The stack's page may be another before the last of them, where an access between is not of the group.
  place.stack = false;
  addends_[group.slot] = place;
  established_.set(group.slot);
  if (plan.is_simple()) scratch_holds_ = group.slot;
  whole.displacement -= group.moves;
  shared_ = SharedReach{.plan = whole, .reach = reach, .place = place};
}

// After an Op has executed the leader: the others rely on what it could not have. Where it can't be had now
// either, the interpreter executes the rest of the block.
void Emitter::reach_again(const SharedReach& shared) {
  const AddendPlace& place = shared.place;
  const bool is_own = place.slot == nullptr;
  if (!is_own) write_address(shared.plan);
  const std::size_t failed = is_own ? look_up(shared.plan, shared.reach) : fill_slot(place, shared.reach);
  load_flags(code_, kScratch);
  if (is_own) {
    code_.load(kScratch, tlb_entry(offsetof(Tlb::Entry, addend)));
    code_.store(kScratch, addend_in_context(place.number));
  } else {
    load_addend(place);
  }
  code_.aim(failed, job_.stubs->interpret);
}

void Emitter::end_instruction() {
  if (slow_.empty() && !misses_slot_) return;
  misses_slot_ = false;
  if (!shared_) lose_scratch();
  slow_paths_.push_back({.branches = std::exchange(slow_, {}),
                         .resume = code_.at(),
                         .op = guest_->op,
                         .vectors = vectors_loaded_,
                         .shared = std::exchange(shared_, std::nullopt)});
}

std::size_t Emitter::find_jump() {
  constexpr unsigned kEntryShift = 4;
  static_assert(sizeof(Tlb::Jump) == 1u << kEntryShift);
  code_.with_register(0x69, kSecond, kScratch, false);  // imul, as Tlb::jump_index()
  code_.imm32(static_cast<std::int32_t>(Tlb::kJumpFactor));
  static_assert(Tlb::kJumps == 1u << (32 - Tlb::kJumpShift));
  code_.with_register(0xc1, 5, kSecond, false);  // shr
  code_.bytes({Tlb::kJumpShift - kEntryShift});
  code_.and_immediate(kSecond, (Tlb::kJumps - 1) << kEntryShift, false);
  code_.compare(kScratch, jump_entry(offsetof(Tlb::Jump, rip)));
  return code_.jump_if(HostCode::kNotEqual);
}

// To another page, whose code may have moved: by way of the TLB's jumps. The flags are in the context.
void Emitter::leave_page(std::int32_t target) {
  code_.load(kScratch, in_context(offsetof(CodeContext, page)));
  code_.lea(kScratch, {.base = kScratch, .displacement = target});
  near_exits_.push_back({.branch = find_jump(), .target = target, .flags_in_context = true, .patch = false});
  code_.and_immediate(kScratch, -kPage);
  code_.store(kScratch, in_context(offsetof(CodeContext, page)));
  code_.jump_to_memory(jump_entry(offsetof(Tlb::Jump, code)));
}

void Emitter::leave_to(std::int32_t target) {
  if (target >= 0 && target < kPage) {
    near_exits_.push_back({.branch = code_.jump(), .target = target, .flags_in_context = !flags_in_host_});
    return;
  }
  if (!flags_in_context_) save_flags(code_, kScratch);
  leave_page(target);
}

void Emitter::leave_if(unsigned condition, std::int32_t target) {
  need_flags();
  const std::size_t branch = code_.jump_if(condition);
  if (target >= 0 && target < kPage) {
    near_exits_.push_back({.branch = branch, .target = target});
  } else {
    far_exits_.push_back({.branch = branch, .target = target, .flags_in_context = flags_in_context_});
  }
}

// From the address in kScratch; gives the branch taken where that can't be.
std::size_t Emitter::fill_slot(const AddendPlace& place, const Reach& reach) {
  const auto tlb = job_.block->kind >> block_kind::kTlbShift;
  if (place.stack) {
    code_.move_immediate(kSecond, static_cast<std::int32_t>(reach.bytes - 1));
    code_.aim(code_.call(), job_.stubs->fill_stack[tlb]);
  } else {
    code_.with_place(0x8d, kSecond, place.slot);  // lea
    code_.aim(code_.call(), job_.stubs->fill_slot[tlb][reach.write ? 1 : 0]);
  }
  return code_.jump_if(HostCode::kNotEqual);
}

void Emitter::finish_slot_misses() {
  for (const SlotMiss& miss : slot_misses_) {
    code_.aim_here(miss.branch);
    if (miss.rotated != 0) code_.rotate_left(kScratch, miss.rotated);
    if (miss.place.stack) {  // the address again
      code_.add(kScratch, stack_page(offsetof(StackPage, page)));
    } else {
      code_.with_place(0x03, kScratch, miss.place.slot + offsetof(PageSlot, page));
    }
    slow_paths_[miss.path].branches.push_back(fill_slot(miss.place, miss.reach));
    code_.aim(code_.jump(), code_.address(miss.resume));
  }
}

void Emitter::finish_slow_paths() {
  for (const SlowPath& path : slow_paths_) {
    for (const std::size_t branch : path.branches) code_.aim_here(branch);
    call_op(path.op);
    if (path.vectors) code_.aim(code_.call(), job_.stubs->load_vectors);
    if (path.shared) reach_again(*path.shared);
    code_.aim(code_.jump(), code_.address(path.resume));
  }
  for (const VectorLoad& load : vector_loads_) {
    code_.aim_here(load.branch);
    code_.aim(code_.call(), job_.stubs->load_vectors);
    code_.aim(code_.jump(), code_.address(load.resume));
  }
}

void Emitter::finish_exits() {
  for (const FarExit& exit : far_exits_) {
    code_.aim_here(exit.branch);
    if (!exit.flags_in_context) save_flags(code_, kScratch);
    leave_page(exit.target);
  }
  near_exits_.push_back({.branch = out_, .target = block_offset_, .patch = false});
  for (const NearExit& exit : near_exits_) {
    code_.aim_here(exit.branch);
    if (exit.branch == out_)
      job_.block->out = static_cast<std::int32_t>(code_.at()) - static_cast<std::int32_t>(head_ + 5);
    code_.move_immediate(kScratch, static_cast<std::int32_t>(job_.exits->size()));
    code_.aim(code_.jump(),
              exit.flags_in_context ? job_.stubs->exit_with_flags_saved : job_.stubs->exit_with_flags);
    job_.exits->push_back({.target = exit.target,
                           .patch = exit.patch ? job_.code_start + exit.branch : CodeExit::kNone,
                           .flags_in_context = exit.flags_in_context});
  }
}

void Emitter::finish() {
  finish_slot_misses();
  finish_slow_paths();
  finish_exits();
}

}  // namespace berth::engine::soft
