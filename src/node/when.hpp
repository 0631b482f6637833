// Points in time as people type them.
#pragma once

#include <chrono>
#include <string>

#include "base/result.hpp"

namespace berth::node {

// RFC 3339, seconds since the epoch ("1767323045"), or how long ago ("10m").
Result<std::chrono::system_clock::time_point> parse_when(const std::string& text);

}  // namespace berth::node
