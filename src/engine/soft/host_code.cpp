#include "engine/soft/host_code.hpp"

namespace berth::engine::soft {
namespace {

unsigned rex(unsigned reg, unsigned index, unsigned base, bool wide) {
  return 0x40u | (wide ? 8u : 0u) | (reg >> 3 & 1) << 2 | (index >> 3 & 1) << 1 | (base >> 3 & 1);
}

}  // namespace

void HostCode::with_register(unsigned code, unsigned reg, unsigned rm, bool wide) {
  bytes({rex(reg, 0, rm, wide)});
  opcode(code);
  bytes({0xc0u | (reg & 7) << 3 | (rm & 7)});
}

// SDM vol. 2, 2.1.5: RSP and R12 as a base need a SIB byte, RBP and R13 a displacement.
void HostCode::with_memory(unsigned code, unsigned reg, const HostAddress& place, bool wide) {
  const bool has_index = place.index != HostAddress::kNone;
  const bool has_base = place.base != HostAddress::kNone;
  const unsigned index = has_index ? place.index : kRsp;
  bytes({rex(reg, index, has_base ? place.base : 0, wide)});
  opcode(code);
  const bool is_byte = place.displacement >= -128 && place.displacement < 128;
  const bool needs_none = place.displacement == 0 && (place.base & 7) != kRbp;
  const unsigned mode = !has_base || needs_none ? 0 : is_byte ? 1 : 2;
  const unsigned base = has_base ? place.base & 7 : kRbp;
  if (has_index || !has_base || base == kRsp) {
    bytes({mode << 6 | (reg & 7) << 3 | 4, place.shift << 6 | (index & 7) << 3 | base});
  } else {
    bytes({mode << 6 | (reg & 7) << 3 | base});
  }
  if (has_base && mode == 1) bytes({static_cast<unsigned>(place.displacement) & 0xff});
  if (!has_base || mode == 2) imm32(place.displacement);
}

void HostCode::with_place(unsigned code, unsigned reg, const std::byte* place) {
  bytes({rex(reg, 0, 0, true)});
  opcode(code);
  bytes({(reg & 7) << 3 | kRbp});
  const std::byte* const behind = address_ + used_ + 4;
  imm32(static_cast<std::int32_t>(place - behind));
}

}  // namespace berth::engine::soft
