// Writes the code of one block, piece by piece: where flags, vectors and memory are is kept track of here.
#pragma once

#include <bitset>
#include <optional>

#include "engine/soft/guest_instruction.hpp"

namespace berth::engine::soft {

// An address as the guest's instruction names it.
struct GuestAddress {
  static constexpr unsigned kNone = HostAddress::kNone;
  unsigned base = kNone, index = kNone, shift = 0;
  bool from_page = false;    // the displacement counts from the start of the code's page
  unsigned segment = kNone;  // whose base is added
  std::int32_t displacement = 0;
};

// How a GuestAddress is made of host registers and places in the context.
struct AddressPlan {
  struct Term {
    unsigned reg = 0, shift = 0;
  };
  std::array<std::size_t, 3> places{};  // offsets in the context
  unsigned place_count = 0;
  std::array<Term, 2> terms{};
  unsigned term_count = 0;
  std::optional<unsigned> spilled_index;  // the guest's number of an index that lies in the context
  unsigned spilled_shift = 0;
  std::int32_t displacement = 0;

  bool is_simple() const { return !spilled_index && place_count <= 1 && term_count <= 1; }
  bool is_stack() const;
  // All of it as one address, where it is made of registers alone.
  std::optional<HostAddress> sum() const;
  bool is_two_registers() const { return !spilled_index && place_count == 0 && term_count == 2; }
  // Where the access goes in the end; kScratch is part of it.
  HostAddress target() const;
};
AddressPlan plan_address(const GuestAddress& address);

// Bytes to be touched: those of one access, or of a group.
struct Reach {
  unsigned bytes = 0;
  unsigned alignment = 1;
  bool write = false;
};

// Where an addend is found, once it has been looked for: in the stack's page, a PageSlot, or else in
// CodeContext::addends.
struct AddendPlace {
  bool stack = false;
  const std::byte* slot = nullptr;
  unsigned number = 0;
};

// What a group's leader has to bring about.
struct SharedReach {
  AddressPlan plan;
  Reach reach;
  AddendPlace place;
};

class Emitter {
 public:
  Emitter(const TranslationJob& job, HostCode& code);

  // The head of the block, and its entries into the block.
  void begin(bool flags_live);
  void select(const GuestInstruction& guest) { guest_ = &guest; }
  // The block jumps to itself: what it touches will be touched again at once.
  void expect_loop() { loops_ = true; }
  // All code that is out of the way, at the end.
  void finish();

  // Flags.
  void about_to_clobber_flags();  // keeps them where they are live
  void need_flags();              // in the host's; loses kSecond
  void flags_written();

  void need_vectors();
  // Has the instruction's Op execute it.
  void execute_op();

  // Makes the bytes at `plan` accessible through plan.target(), or has the Op execute the instruction. Loses
  // kScratch and kSecond, and the flags.
  void reach(const AddressPlan& plan, unsigned bytes, unsigned alignment, bool write);
  // To be called by whoever changes kScratch, but for reach().
  void lose_scratch() { scratch_holds_.reset(); }
  // Another branch to where the Op executes the instruction.
  void otherwise_execute_op(std::size_t branch) { slow_.push_back(branch); }
  // The end of an instruction: where its slow path comes back.
  void end_instruction();

  // Leaves for a place in this page or another, counted from the page's start.
  void leave_to(std::int32_t target);
  void leave_if(unsigned condition, std::int32_t target);
  // kScratch holds a RIP: gives the branch taken where its code is not known; kSecond then leads to it.
  std::size_t find_jump();
  HostAddress jump_entry(std::size_t field) const;

  HostCode& code() { return code_; }
  std::int32_t block_offset() const { return block_offset_; }

 private:
  struct SlowPath {
    std::vector<std::size_t> branches;
    std::size_t resume = 0;
    const Op* op = nullptr;
    bool vectors = false;
    std::optional<SharedReach> shared;  // to be had before the code goes on
  };
  // Fills a slot, then goes on where its page is known.
  struct SlotMiss {
    std::size_t branch = 0, resume = 0;
    AddendPlace place;
    Reach reach;
    unsigned rotated = 0;  // by so many bits to the right
    std::size_t path = 0;  // of slow_paths_, where there is nothing to fill it with
  };
  struct VectorLoad {
    std::size_t branch = 0, resume = 0;
  };
  struct FarExit {
    std::size_t branch = 0;
    std::int32_t target = 0;
    bool flags_in_context = false;
  };
  struct NearExit {
    std::size_t branch = 0;
    std::int32_t target = 0;
    bool flags_in_context = false;  // and not in the host's
    bool patch = true;
  };

  void call_op(const Op* op);
  void write_address(const AddressPlan& plan);
  // Compares with the TLB's entry; gives the branch taken where the bytes are not all in its page.
  std::size_t look_up(const AddressPlan& plan, const Reach& reach);
  // Compares with the page of a new slot, and has the slow path fill it.
  AddendPlace look_at_slot(const AddressPlan& plan, const Reach& reach);
  AddendPlace look_at_stack(const AddressPlan& plan, const Reach& reach);
  std::size_t fill_slot(const AddendPlace& place, const Reach& reach);
  HostAddress stack_page(std::size_t field) const;
  void go_to_page(const AddressPlan& plan, const AddendPlace& place, bool from_entry, bool is_shared);
  void add_base(const AddressPlan& plan);
  void load_addend(const AddendPlace& place);
  void reach_again(const SharedReach& shared);
  void leave_page(std::int32_t target);
  HostAddress tlb_entry(std::size_t field) const;
  void finish_slow_paths();
  void note_miss(SlotMiss miss);
  void finish_slot_misses();
  void finish_exits();

  const TranslationJob& job_;
  HostCode& code_;
  const GuestInstruction* guest_ = nullptr;
  std::int32_t block_offset_;
  std::size_t tlb_;  // offset of the data TLB in the context
  bool loops_ = false;
  bool flags_in_host_ = true, flags_in_context_ = false;
  bool vectors_loaded_ = false;
  std::vector<std::size_t> slow_;
  std::optional<SharedReach> shared_;                // that the instruction leads to
  std::bitset<kSharedReaches> established_;          // CodeContext::addends that hold
  bool misses_slot_ = false;                         // the instruction may
  std::optional<unsigned> scratch_holds_;            // which of them kScratch is
  std::array<AddendPlace, kSharedReaches> addends_;  // of those established
  std::vector<SlowPath> slow_paths_;
  std::vector<SlotMiss> slot_misses_;
  std::vector<VectorLoad> vector_loads_;
  std::vector<FarExit> far_exits_;
  std::vector<NearExit> near_exits_;
  std::vector<std::size_t> outs_;
  std::size_t out_ = 0, head_ = 0;
};

}  // namespace berth::engine::soft
