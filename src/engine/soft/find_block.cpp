#include <algorithm>

#include "engine/soft/access.hpp"
#include "engine/soft/decoder.hpp"
#include "engine/soft/run.hpp"

namespace berth::engine::soft {
namespace {

using namespace x86;  // NOLINT(google-build-using-namespace): the architecture's names

constexpr std::size_t kLongestInstruction = 15;

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

// The block's code has become cached: stores to its pages must be seen.
void watch_pages(Cpu& cpu, const Block& block) {
  for (Tlb& tlb : cpu.tlbs) {
    tlb.forbid_writes(block.physical & kPageMask);
    if (block.second_page != Block::kNoPage) tlb.forbid_writes(block.second_page);
  }
}

Block* decode_block(Cpu& cpu, std::uint64_t linear, std::uint64_t physical, std::uint32_t kind) {
  const std::uint64_t in_page = 4096 - (physical & 4095);
  const std::span<std::byte> page = cpu.memory->at(guest::Gpa{physical}, in_page);
  if (page.empty()) raise(cpu, Vector::Ud);  // not RAM: reads as ones
  // Bytes behind CS's limit do not exist; where they are needed, fetching raises #GP.
  std::uint64_t allowed = ~std::uint64_t{0};
  if (!cpu.is_64bit()) allowed = cpu.segment(SegmentName::Cs).limit - cpu.rip_base() + 1;
  CodeWindow window{.bytes = page.data(),
                    .size = std::min(in_page, allowed),
                    .physical = physical,
                    .rip = cpu.rip_base(),
                    .kind = kind};
  Block* block = nullptr;
  if (cpu.decoder->decode(*cpu.blocks, *cpu.translator, window, block) == DecodeOutcome::Done) return block;
  if (allowed <= in_page) raise(cpu, Vector::Gp);
  const std::uint64_t second = fetch_page(cpu, linear + in_page);
  const std::span<std::byte> rest = cpu.memory->at(guest::Gpa{second}, kLongestInstruction);
  std::array<std::byte, 2 * kLongestInstruction> bytes;
  bytes.fill(std::byte{0xff});
  std::copy_n(page.begin(), in_page, bytes.begin());
  if (!rest.empty())
    std::copy(rest.begin(), rest.end(), bytes.begin() + static_cast<std::ptrdiff_t>(in_page));
  window.bytes = bytes.data();
  window.size = std::min<std::uint64_t>(in_page + kLongestInstruction, allowed);
  window.second_page = second & kPageMask;
  if (cpu.decoder->decode(*cpu.blocks, *cpu.translator, window, block) != DecodeOutcome::Done)
    raise(cpu, Vector::Gp);
  return block;
}

// Whether an instruction that lies in two pages still lies in these two.
bool is_current(Cpu& cpu, const Block& block, std::uint64_t linear) {
  if (block.second_page == Block::kNoPage) return true;
  const std::uint64_t in_page = 4096 - (block.physical & 4095);
  return fetch_page(cpu, linear + in_page) == block.second_page;
}

}  // namespace

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
  block = decode_block(cpu, linear, physical, kind);
  watch_pages(cpu, *block);
  return block;
}

}  // namespace berth::engine::soft
