// Resource limits of one process (getrlimit(2)).
#pragma once

#include <cstdint>
#include <string_view>

#include "base/result.hpp"

namespace berth::sys {

// UINT64_MAX is "unlimited".
struct RlimitPair {
  std::uint64_t soft = 0;
  std::uint64_t hard = 0;
};

// "nofile" or "RLIMIT_NOFILE"; InvalidArgument lists the names.
Result<int> rlimit_number(std::string_view name);
Result<RlimitPair> get_rlimit(int resource);
int set_rlimit(int resource, RlimitPair limit) noexcept;  // 0 or errno; usable between fork and exec

}  // namespace berth::sys
