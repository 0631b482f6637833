// Addresses that need more than an addition.
#include "engine/soft/access.hpp"

namespace berth::engine::soft {
namespace {

using namespace x86;  // NOLINT(google-build-using-namespace): the architecture's names

[[noreturn]] void refuse(Cpu& cpu, unsigned segment) {
  raise(cpu, segment == static_cast<unsigned>(SegmentName::Ss) ? Vector::Ss : Vector::Gp);
}

bool is_within(const Segment& segment, std::uint32_t offset, unsigned bytes) {
  const std::uint64_t last = std::uint64_t{offset} + bytes - 1;
  const bool is_code = (segment.attributes & attribute::kCode) != 0;
  if (!is_code && (segment.attributes & attribute::kExpandDown) != 0) {
    const std::uint64_t top = (segment.attributes & attribute::kBig) != 0 ? 0xffffffff : 0xffff;
    return offset > segment.limit && last <= top;
  }
  return last <= segment.limit;
}

bool allows(const Segment& segment, bool write) {
  const bool is_code = (segment.attributes & attribute::kCode) != 0;
  const bool second_bit = (segment.attributes & attribute::kWritable) != 0;  // readable, of code
  if (write) return !is_code && second_bit;
  return !is_code || second_bit;
}

}  // namespace

std::uint64_t segment_address(Cpu& cpu, unsigned segment, std::uint64_t offset, unsigned bytes, bool write) {
  if (cpu.is_64bit()) return offset + cpu.segment_base[segment];
  const Segment& hidden = cpu.arch.segments[segment];
  if ((hidden.attributes & attribute::kPresent) == 0) refuse(cpu, segment);
  if (!cpu.is_real_or_v86() && !allows(hidden, write)) refuse(cpu, segment);
  if (!is_within(hidden, static_cast<std::uint32_t>(offset), bytes)) refuse(cpu, segment);
  return (hidden.base + offset) & 0xffffffff;
}

std::uint64_t slow_address(Cpu& cpu, const Op* op, unsigned bytes, bool write) {
  std::uint64_t offset = operand_offset(cpu, op);
  if (op->address_bytes == 4) offset &= 0xffffffff;
  if (op->address_bytes == 2) offset &= 0xffff;
  return segment_address(cpu, op->segment, offset, bytes, write);
}

}  // namespace berth::engine::soft
