#include "x86/cpu_state.hpp"

#include <cstring>

namespace berth::x86 {

CpuState power_on_state() {
  CpuState state;
  Segment& code = state.segment(SegmentName::Cs);
  code = {.base = 0xffff0000, .selector = 0xf000, .attributes = 0x9b};
  state.rip = 0xfff0;
  state.reg(Gpr::Rdx) = 0x600;  // family 6
  const std::uint16_t control_word = 0x0040;
  const std::uint32_t mxcsr = 0x1f80;
  std::memcpy(state.xsave.data(), &control_word, sizeof control_word);
  std::memcpy(state.xsave.data() + 24, &mxcsr, sizeof mxcsr);
  state.xsave[512] = std::byte{3};  // XSTATE_BV: x87 and SSE
  return state;
}

}  // namespace berth::x86
