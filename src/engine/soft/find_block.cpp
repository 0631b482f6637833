#include <algorithm>

#include "engine/soft/access.hpp"
#include "engine/soft/decoder.hpp"
#include "engine/soft/run.hpp"

namespace berth::engine::soft {
namespace {

using namespace x86;  // NOLINT(google-build-using-namespace): the architecture's names

constexpr std::size_t kLongestInstruction = 15;
constexpr std::size_t kLongestCode = 256;  // of a block, which is cut off there

std::uint64_t code_address(Cpu& cpu, std::uint64_t rip) {
  if (cpu.is_64bit()) {
    if (!is_canonical(rip)) raise(cpu, Vector::Gp);
    return rip;
  }
  const Segment& cs = cpu.segment(SegmentName::Cs);
  if (rip > cs.limit) raise(cpu, Vector::Gp);
  const std::uint64_t linear = cs.base + rip;
  return cpu.is_long() ? linear : linear & 0xffffffff;
}

std::uint64_t fetch_page(Cpu& cpu, std::uint64_t linear) {
  const Tlb::Entry& entry = cpu.code_tlb->at(linear);
  if (entry.execute == (linear & kPageMask)) [[likely]] {
    return cpu.code_tlb->origins[Tlb::index(linear)].physical | (linear & 4095);
  }
  return translate(cpu, linear, false, true, Intent::Normal);
}

void forbid_writes(Cpu& cpu, std::uint64_t page) {
  for (Tlb& tlb : cpu.tlbs) tlb.forbid_writes(page);
  cpu.slots.empty(true);
  ++cpu.revocations;
}

// Code of the page is about to be cached: stores to it must be seen, whoever makes them.
void claim_page(Cpu& cpu, std::uint64_t page) {
  if (cpu.blocks->has_claimed(page)) return;
  cpu.blocks->claim(page, [&cpu] { take_memory_news(cpu); });
  forbid_writes(cpu, page);
}

Block* decode_block(Cpu& cpu, std::uint64_t linear, std::uint64_t physical, std::uint32_t kind) {
  const std::uint64_t in_page = 4096 - (physical & 4095);
  const std::span<std::byte> page = cpu.memory->at(guest::Gpa{physical}, in_page);
  if (page.empty()) raise(cpu, Vector::Ud);  // not RAM: reads as ones
  cpu.decoder->make_room(*cpu.blocks, *cpu.translator, cpu.slots);
  claim_page(cpu, physical & kPageMask);
  // A copy: others may change the code while it is looked at.
  std::array<std::byte, kLongestCode> bytes;
  const std::size_t own = std::min<std::size_t>(in_page, bytes.size());
  std::copy_n(page.begin(), own, bytes.begin());
  // Bytes behind CS's limit do not exist; where they are needed, fetching raises #GP.
  std::uint64_t allowed = ~std::uint64_t{0};
  if (!cpu.is_64bit()) allowed = cpu.segment(SegmentName::Cs).limit - cpu.rip_base() + 1;
  CodeWindow window{.bytes = bytes.data(),
                    .size = std::min<std::uint64_t>(own, allowed),
                    .physical = physical,
                    .rip = cpu.rip_base(),
                    .kind = kind};
  Block* block = nullptr;
  if (cpu.decoder->decode(*cpu.blocks, window, block) == DecodeOutcome::Done) return block;
  if (allowed <= in_page) raise(cpu, Vector::Gp);
  const std::uint64_t second = fetch_page(cpu, linear + in_page);
  const std::span<std::byte> rest = cpu.memory->at(guest::Gpa{second}, kLongestInstruction);
  const auto behind = bytes.begin() + static_cast<std::ptrdiff_t>(in_page);
  std::fill_n(behind, kLongestInstruction, std::byte{0xff});
  if (!rest.empty()) {
    do {  // claiming one may end the claim to the other, where what is told meanwhile kills its blocks
      claim_page(cpu, physical & kPageMask);
      claim_page(cpu, second & kPageMask);
    } while (!cpu.blocks->has_claimed(physical & kPageMask));
    std::copy_n(page.begin(), own, bytes.begin());
    std::copy(rest.begin(), rest.end(), behind);
  }
  window.size = std::min<std::uint64_t>(in_page + kLongestInstruction, allowed);
  window.second_page = second & kPageMask;
  if (cpu.decoder->decode(*cpu.blocks, window, block) != DecodeOutcome::Done) raise(cpu, Vector::Gp);
  return block;
}

// Whether an instruction that lies in two pages still lies in these two.
bool is_current(Cpu& cpu, const Block& block, std::uint64_t linear) {
  if (block.second_page == Block::kNoPage) return true;
  const std::uint64_t in_page = 4096 - (block.physical & 4095);
  return fetch_page(cpu, linear + in_page) == block.second_page;
}

}  // namespace

void take_memory_news(Cpu& cpu) {
  cpu.mailbox->take([&cpu](const MemoryNews& news) {
    if (news.bytes != 0) return cpu.blocks->memory_written(news.address, news.bytes);
    forbid_writes(cpu, news.address);
  });
}

Block* find_block(Cpu& cpu, std::uint32_t kind_bits) {
  const std::uint64_t linear = code_address(cpu, cpu.rip_base());
  const std::uint64_t physical = fetch_page(cpu, linear);
  std::uint32_t kind = kind_bits | static_cast<std::uint32_t>(cpu.mode);
  if (kind == static_cast<std::uint32_t>(OperatingMode::Bits64))
    kind |= cpu.tlb_index() << block_kind::kTlbShift;
  const std::uint32_t limit = cpu.segment(SegmentName::Cs).limit;
  const bool limited = !cpu.is_64bit() && limit != 0xffffffff;
  if (limited) kind |= block_kind::kLimited;
  Block* block = cpu.blocks->find(physical, kind);
  if (block != nullptr && is_current(cpu, *block, linear)) [[likely]] {
    if (!limited || cpu.rip_base() + block->bytes - 1 <= limit) return block;
    if ((kind & block_kind::kSingle) == 0) return find_block(cpu, kind_bits | block_kind::kSingle);
    raise(cpu, Vector::Gp);
  }
  if (block != nullptr) cpu.blocks->memory_written(block->physical, 1);  // another second page now
  return decode_block(cpu, linear, physical, kind);
}

}  // namespace berth::engine::soft
