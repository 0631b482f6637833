// Linux capabilities as sets of bits: their names, the sets a unit gets, and putting a process into them.
// Source: capabilities(7); the numbers are those of linux/capability.h.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"

namespace berth::sys {

// Bit n is the capability numbered n.
using CapabilityMask = std::uint64_t;

constexpr CapabilityMask capability_bit(unsigned number) { return CapabilityMask{1} << number; }

// What containers get by default, the same eleven as Podman: CHOWN, DAC_OVERRIDE, FOWNER, FSETID, KILL,
// NET_BIND_SERVICE, SETFCAP, SETGID, SETPCAP, SETUID and SYS_CHROOT (containers.conf(5),
// default_capabilities).
CapabilityMask default_capabilities();

// The highest number this kernel knows, and all up to it.
unsigned last_capability();
CapabilityMask all_capabilities();

// What this process may hand on: its permitted set within its bounding set.
CapabilityMask held_capabilities();

// "CAP_NET_ADMIN", "NET_ADMIN" or "net_admin"; nothing for a name that Linux does not have.
std::optional<unsigned> capability_number(std::string_view name);
// One capability's bit, or every one for "ALL". `option` names in the error what was being read
// ("--cap-add").
Result<CapabilityMask> parse_capability(std::string_view name, std::string_view option);
// "CAP_NET_ADMIN"; "CAP_57" for one newer than this table.
std::string capability_name(unsigned number);
std::vector<std::string> capability_names(CapabilityMask mask);  // by number, upwards

// The set that --cap-add, --cap-drop and --privileged ask for. `drop` of ALL starts from nothing, `add` of
// ALL or `privileged` from everything, else from the default; single names then add and take away. The
// default and ALL are cut down to `held`; a capability added by its name that `held` lacks is refused
// (FailedPrecondition), as is one that is both added and dropped (InvalidArgument).
Result<CapabilityMask> resolve_capabilities(const std::vector<std::string>& add,
                                            const std::vector<std::string>& drop, bool privileged,
                                            CapabilityMask held = held_capabilities());

struct CapabilitySets {
  CapabilityMask bounding = 0;
  CapabilityMask effective = 0;
  CapabilityMask inheritable = 0;
  CapabilityMask permitted = 0;
  CapabilityMask ambient = 0;

  // A unit's first process: bounding, effective and permitted are `mask`. Inheritable and ambient stay empty,
  // so that a program of another user than root starts without privilege (and see CVE-2022-24769).
  static CapabilitySets of(CapabilityMask mask) { return {mask, mask, 0, mask, 0}; }
};

// The functions below are for the time between fork and exec: no allocation; they return 0 or an errno. They
// never ask for more than the process holds.

// Takes out of the bounding set all that `keep` lacks. Needs CAP_SETPCAP, so it comes before a change of
// user.
int limit_bounding_set(CapabilityMask keep) noexcept;
// Lets permitted capabilities survive the change from user 0 to another one (until the next exec).
int keep_capabilities_across_setuid() noexcept;
// Sets all but the bounding set. After a change of user the effective set is empty: this also brings it back.
int set_capabilities(const CapabilitySets& sets) noexcept;
// limit_bounding_set() and set_capabilities() in one, for a process that keeps its user.
int apply_capabilities(const CapabilitySets& sets) noexcept;

// The sets of a running process, from /proc/PID/status.
Result<CapabilitySets> read_capabilities(int pid);

}  // namespace berth::sys
