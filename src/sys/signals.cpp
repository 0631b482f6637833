#include "sys/signals.hpp"

#include <fmt/core.h>
#include <signal.h>
#include <string.h>

#include "base/text.hpp"

namespace berth::sys {
namespace {

// The kernel's numbers of real-time signals; the C library keeps the first ones for itself.
constexpr int kFirstRealTime = 34;
constexpr int kLast = 64;

}  // namespace

Result<int> parse_signal(std::string_view text) {
  std::string name = lower(text);
  if (name.starts_with("sig")) name.erase(0, 3);
  if (const auto number = parse_u64(name); number && *number >= 1 && *number <= kLast)
    return static_cast<int>(*number);
  for (int number = 1; number < NSIG; ++number) {
    const char* known = ::sigabbrev_np(number);
    if (known != nullptr && lower(known) == name) return number;
  }
  if (name == "rtmin") return kFirstRealTime;
  if (name.starts_with("rtmin+")) {
    const auto offset = parse_u64(std::string_view(name).substr(6));
    if (offset && *offset <= kLast - kFirstRealTime) return kFirstRealTime + static_cast<int>(*offset);
  }
  return fail(Code::InvalidArgument,
              fmt::format("{}: no such signal (SIGTERM, TERM and 15 are the same one)", text));
}

std::string signal_name(int signal) {
  const char* known = signal > 0 && signal < NSIG ? ::sigabbrev_np(signal) : nullptr;
  if (known != nullptr) return fmt::format("SIG{}", known);
  return signal >= kFirstRealTime ? fmt::format("SIGRTMIN+{}", signal - kFirstRealTime)
                                  : std::to_string(signal);
}

}  // namespace berth::sys
