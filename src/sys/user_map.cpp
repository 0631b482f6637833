#include "sys/user_map.hpp"

#include <unistd.h>

#include <sstream>
#include <vector>

#include "sys/fd.hpp"

namespace berth::sys {
namespace {

constexpr std::uint64_t kAllUsers = 4294967295;  // uid -1 is none

struct Range {
  std::uint64_t inside = 0;
  std::uint64_t outside = 0;
  std::uint64_t count = 0;
};

std::vector<Range> read_ranges() {
  const auto map = read_file("/proc/self/uid_map", 65536);
  if (!map) return {{0, 0, kAllUsers}};  // a kernel without user namespaces
  std::vector<Range> ranges;
  std::istringstream lines(*map);
  for (Range range; lines >> range.inside >> range.outside >> range.count;) ranges.push_back(range);
  return ranges;
}

}  // namespace

std::uint64_t outer_uid() {
  const uid_t here = ::geteuid();
  for (const Range& range : read_ranges()) {
    if (here >= range.inside && here - range.inside < range.count)
      return range.outside + (here - range.inside);
  }
  return here;
}

bool in_user_namespace() {
  const auto ranges = read_ranges();
  return ranges.size() != 1 || ranges[0].inside != 0 || ranges[0].outside != 0 ||
         ranges[0].count != kAllUsers;
}

bool has_many_users() {
  std::uint64_t users = 0;
  for (const Range& range : read_ranges()) users += range.count;
  return users > 1;
}

}  // namespace berth::sys
