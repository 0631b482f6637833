// How a machine comes to its end, as devices learn it from the guest.
#pragma once

#include <cstdint>

namespace berth::device {

enum class EndKind : std::uint8_t {
  PowerOff,  // ACPI S5
  Reset,     // asked for by the guest: keyboard controller, reset register
  TripleFault,
  Panic,      // the guest's kernel said so (pvpanic)
  DebugExit,  // the test port; `code` is what was written
  Stopped,    // from outside
};

struct End {
  EndKind kind = EndKind::PowerOff;
  std::uint32_t code = 0;
};

class EndSink {
 public:
  virtual ~EndSink() = default;
  virtual void end(End end) = 0;  // any thread; the first one counts
};

}  // namespace berth::device
