#include "x86/cpu_state.hpp"

#include <cstring>

namespace berth::x86 {

CpuState power_on_state() {
  CpuState state;
  state.rip = 0xfff0;
  Segment& cs = state.segment(SegmentName::Cs);
  cs.selector = 0xf000;
  cs.base = 0xffff0000;
  cs.attributes = 0x9b;
  const std::uint16_t x87_control = 0x40;
  const std::uint32_t mxcsr = 0x1f80;
  std::memcpy(state.xsave.data(), &x87_control, sizeof x87_control);
  std::memcpy(state.xsave.data() + 24, &mxcsr, sizeof mxcsr);
  return state;
}

}  // namespace berth::x86
