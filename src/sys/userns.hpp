// Rootless: an ordinary user becomes root of a user namespace of its own. Sources: user_namespaces(7),
// subuid(5), newuidmap(1).
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"

namespace berth::sys {

// `count` ids that a user may map besides its own, from `start` on.
struct SubordinateRange {
  std::uint32_t start = 0;
  std::uint32_t count = 0;
  bool operator==(const SubordinateRange&) const = default;
};

// The user's lines of /etc/subuid or /etc/subgid: "name:start:count" or "uid:start:count". Others are left
// out, as are those that are not well formed or reach past 2^32 - 2.
std::vector<SubordinateRange> parse_subordinate_ids(std::string_view text, std::string_view user_name,
                                                    uid_t uid);

struct Rootless {
  bool entered = false;  // false: the caller is root already and nothing happened
  bool joined = false;   // the namespace of a berth that still runs, not a new one
  std::string
      single_user;  // why only the user's own id is mapped; "" where all are. For a notice to the person
};

// For an ordinary user: enters the user namespace that other running berths of this user (and so their units)
// live in, or makes one where there is none, and a new mount namespace in it; the process is then root there.
// Ids from 1 on are those of /etc/subuid and /etc/subgid, by newuidmap and newgidmap (package uidmap). Which
// namespace it is, is kept in `record_directory` (made if absent, mode 0700). Only single-threaded, before
// anything else. FailedPrecondition says what on this machine forbids user namespaces.
Result<Rootless> enter_rootless(const std::string& record_directory);

}  // namespace berth::sys
