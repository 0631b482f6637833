#include "engine/soft/translator.hpp"

#include <x86intrin.h>

#include "engine/soft/block_translator.hpp"
#include "engine/soft/run.hpp"
#include "engine/soft/run_loop.hpp"

namespace berth::engine::soft {
namespace {

constexpr std::size_t kCodeBytes = std::size_t{64} << 20;
constexpr std::size_t kLongestBlock = 64 << 10;
constexpr std::size_t kMostExits = 1 << 20;
constexpr unsigned kUsesBeforeTranslation = 12;

void forget_everything(Cpu& cpu) {
  cpu.blocks->clear();
  cpu.translator->clear(cpu.slots);
  for (Tlb& tlb : cpu.tlbs) tlb.forget_jumps();
}

void remember(Cpu& cpu, std::uint64_t rip, const Block& block) {
  const unsigned i = Tlb::index(rip);
  const bool is_known = cpu.code_tlb->entries[i].execute == (rip & kPageMask);
  cpu.tlb->remember_jump(rip, block.code_loading_flags, is_known && cpu.code_tlb->origins[i].global);
}

// Goes on in the code of the block that `op` begins, where there is some for the state at hand; else leaves
// for the interpreter to execute `op`.
const std::byte* proceed(Cpu& cpu, const Op* op) {
  if (op == nullptr) op = next_in_line(cpu);
  cpu.current = &kIdleOp;
  cpu.next_op = op;
  if (op == nullptr || op->run != count_or_enter) return cpu.translator->stubs().leave;
  const Block& block = *op->block;
  const bool fits = block.code != nullptr && block.kind >> block_kind::kTlbShift == cpu.tlb_index() &&
                    cpu.translator->obeys(Translator::rules_of(cpu));
  if (!fits) return cpu.translator->stubs().leave;
  remember(cpu, cpu.rip_base(), block);
  cpu.page = cpu.rip_base() & kPageMask;
  return block.code;
}

// To be translated again, with `flag` for the instruction that `op` is of.
void change_mind(const Op* op, Op::Flag flag) {
  if (op->run == resume_elsewhere) return;  // the block is dead
  const Op* first = op;
  while (first->run != count_or_enter) --first;
  Block& block = *first->block;
  for (Op* each = block.ops; each != block.ops + block.count; ++each) {
    if (each->offset == op->offset && each != block.ops) each->flags |= flag;
  }
  if (block.code == nullptr) return;
  block.close();
  block.code = nullptr;
}

// The slot that `op` goes by has missed often; but how long did that take?
void judge_slot(Cpu& cpu, const Op* op) {
  constexpr std::uint16_t kSoon = 127;  // 4000 cycles a miss
  PageSlot& slot = *std::exchange(cpu.slots.doubted, nullptr);
  const auto now = static_cast<std::uint16_t>(__rdtsc() >> 12);
  const auto took = static_cast<std::uint16_t>(now - slot.since);
  slot.since = now;
  slot.misses_left = PageSlot::kPatience;
  if (took <= kSoon) change_mind(op, Op::kRoams);
}

}  // namespace

const std::byte* execute_op(Cpu& cpu, const Op* op, std::uint32_t block_offset) {
  cpu.rip_base() = cpu.page + block_offset;
  const std::uint64_t generation = cpu.blocks->generation();
  const unsigned tlb = cpu.tlb_index();
  const std::uint32_t rules = Translator::rules_of(cpu);
  const std::uint64_t revocations = cpu.revocations;
  const std::uint16_t offset = op->offset;
  if (cpu.slots.doubted != nullptr) [[unlikely]]
    judge_slot(cpu, op);
  if (cpu.slots.is_full()) [[unlikely]]
    cpu.slots.empty(true);
  const Op* next = op;
  do {
    op = next;
    cpu.current = op;
    next = op->run(cpu, op);
  } while (next == op + 1 && next->offset == offset);
  if (next != op + 1) return proceed(cpu, next);
  cpu.behind = op;
  const bool is_alive = cpu.blocks->generation() == generation && next->run != resume_elsewhere;
  if (is_alive && cpu.revocations == revocations && cpu.tlb_index() == tlb &&
      Translator::rules_of(cpu) == rules) [[likely]] {
    return reinterpret_cast<const std::byte*>(cpu.resume);
  }
  if (!is_alive || cpu.revocations != revocations) return proceed(cpu, next);
  return proceed(cpu, go_to(cpu, cpu.rip_base() + next->offset));
}

// Behind cpu.behind, which executed an instruction that others of its block rely on: the page is none that
// code may access by itself, or the bytes lie in two.
const std::byte* interpret_rest(Cpu& cpu) {
  constexpr unsigned kMostFailures = 64;
  cpu.slots.doubted = nullptr;  // it goes with the failure
  const Op* const op = cpu.behind;
  const Op* first = op;
  while (first->run != count_or_enter) --first;
  Block& block = *first->block;
  if (++block.failures > kMostFailures) {
    block.failures = 0;
    change_mind(op, Op::kAlone);
  }
  return proceed(cpu, op + 1);
}

const std::byte* take_exit(Cpu& cpu, std::uint64_t number) {
  const CodeExit exit = cpu.translator->exit(number);
  const std::uint64_t generation = cpu.blocks->generation();
  const Op* next = go_to(cpu, cpu.page + static_cast<std::uint64_t>(std::int64_t{exit.target}));
  const std::byte* const code = proceed(cpu, next);
  if (code != cpu.translator->stubs().leave && exit.patch != CodeExit::kNone &&
      cpu.blocks->generation() == generation)
    cpu.translator->connect(exit, *next->block);
  return code;
}

const Op* count_or_enter(Cpu& cpu, const Op* op) {
  Block& block = *op->block;
  Translator& translator = *cpu.translator;
  if (block.code == nullptr && !translator.wants(++block.uses)) return op + 1;
  if (!translator.obeys(Translator::rules_of(cpu)) || (block.code == nullptr && translator.is_full())) {
    forget_everything(cpu);
    return nullptr;
  }
  if (block.kind >> block_kind::kTlbShift != cpu.tlb_index()) return op + 1;
  if (block.code == nullptr) translator.translate(cpu, block);
  return translator.enter(cpu, block);
}

Result<Translator> Translator::create(Tiers tiers) {
  return Translator(TRY(sys::CodeMemory::create(kCodeBytes)), tiers);
}

Translator::Translator(sys::CodeMemory memory, Tiers tiers) : memory_(std::move(memory)), tiers_(tiers) {
  BERTH_ASSERT(ZYAN_SUCCESS(ZydisDecoderInit(&decoder_, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64)));
  HostCode code(memory_.writable(), memory_.size(), memory_.executable());
  stubs_ = make_stubs(code);
  first_ = used_ = code.at();
  slots_at_ = memory_.size();
}

bool Translator::wants(unsigned uses) const {
  if (tiers_ == Tiers::Interpreter) return false;
  return tiers_ == Tiers::EagerTranslator || uses >= kUsesBeforeTranslation;
}

bool Translator::is_full() const {
  constexpr std::size_t kMostSlots = BlockCache::kMostOps * sizeof(PageSlot);
  return used_ + kLongestBlock + kMostSlots > slots_at_ || exits_.size() > kMostExits;
}

void Translator::clear(PageSlots& slots) {
  slots.forget();
  used_ = first_;
  slots_at_ = memory_.size();
  exits_.clear();
}

void Translator::translate(Cpu& cpu, Block& block) {
  rules_ = rules_of(cpu);
  const auto code_bytes = cpu.memory->at(guest::Gpa{block.physical}, block.bytes);
  BERTH_ASSERT(code_bytes.size() == block.bytes);
  // A copy: others may change the code between a look at it and its use.
  const std::vector<std::byte> bytes(code_bytes.begin(), code_bytes.end());
  std::byte* const old_head = block.head;
  std::byte* slots = memory_.writable() + slots_at_;
  HostCode code(memory_.writable() + used_, kLongestBlock, memory_.executable() + used_);
  translate_block({.block = &block,
                   .bytes = bytes,
                   .decoder = &decoder_,
                   .stubs = &stubs_,
                   .exits = &exits_,
                   .slots = &slots,
                   .code_start = used_,
                   .rules = rules_},
                  code);
  slots_at_ = static_cast<std::size_t>(slots - memory_.writable());
  if (old_head != nullptr) lead(old_head, block.code);
  constexpr std::size_t kAlignment = 16;
  used_ += (code.at() + kAlignment - 1) & ~(kAlignment - 1);
}

const Op* Translator::enter(Cpu& cpu, const Block& block) {
  cpu.page = cpu.rip_base() & kPageMask;
  cpu.next_op = nullptr;
  const auto enter =
      reinterpret_cast<void (*)(CodeContext*, const std::byte*)>(const_cast<std::byte*>(stubs_.enter));
  enter(&cpu, block.code);
  return cpu.next_op;
}

// Those who jump to the code that the block had go on in its new one.
void Translator::lead(std::byte* old_head, const std::byte* code) {
  constexpr std::byte kJump{0xe9};
  const std::byte* const old_code = memory_.executable() + (old_head - memory_.writable());
  const auto distance = static_cast<std::int32_t>(code - (old_code + 5));
  *old_head = kJump;
  std::memcpy(old_head + 1, &distance, sizeof distance);
}

void Translator::connect(const CodeExit& exit, const Block& target) {
  const std::byte* const code = exit.flags_in_context ? target.code_loading_flags : target.code;
  const auto distance = static_cast<std::int32_t>(code - (memory_.executable() + exit.patch + 4));
  std::memcpy(memory_.writable() + exit.patch, &distance, sizeof distance);
}

}  // namespace berth::engine::soft
