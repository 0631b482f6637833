// Signals by name.
#pragma once

#include <string>
#include <string_view>

#include "base/result.hpp"

namespace berth::sys {

// "SIGTERM", "term", "15", "RTMIN+3".
Result<int> parse_signal(std::string_view text);
std::string signal_name(int signal);  // "SIGTERM"

}  // namespace berth::sys
