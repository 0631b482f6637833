#include "engine/soft/code_pages.hpp"

namespace berth::engine::soft {

RamPages::RamPages(const guest::GuestMemory& memory) : count_(memory.bytes() >> 12) {
  const auto& regions = memory.regions();
  low_bytes_ = regions.front().bytes;
  if (regions.size() > 1) high_shift_ = value(regions[1].start) - regions[1].file_offset;
}

CodePages::CodePages(const guest::GuestMemory& memory)
    : pages_(memory), holders_(new std::atomic<std::uint8_t>[pages_.count()]()) {}

void CodePages::add(std::uint64_t physical, unsigned self) {
  const std::uint64_t index = pages_.index(physical);
  if (index < pages_.count()) holders_[index].fetch_or(static_cast<std::uint8_t>(1u << self));
}

void CodePages::remove(std::uint64_t physical, unsigned self) {
  const std::uint64_t index = pages_.index(physical);
  if (index < pages_.count()) holders_[index].fetch_and(static_cast<std::uint8_t>(~(1u << self)));
}

}  // namespace berth::engine::soft
