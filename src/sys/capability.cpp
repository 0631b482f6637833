#include "sys/capability.hpp"

#include <fmt/core.h>
#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>

#include "base/text.hpp"
#include "sys/fd.hpp"

namespace berth::sys {
namespace {

// In the kernel's order (linux/capability.h): a name's place is its number.
constexpr std::array<std::string_view, 41> kNames = {"CHOWN",
                                                     "DAC_OVERRIDE",
                                                     "DAC_READ_SEARCH",
                                                     "FOWNER",
                                                     "FSETID",
                                                     "KILL",
                                                     "SETGID",
                                                     "SETUID",
                                                     "SETPCAP",
                                                     "LINUX_IMMUTABLE",
                                                     "NET_BIND_SERVICE",
                                                     "NET_BROADCAST",
                                                     "NET_ADMIN",
                                                     "NET_RAW",
                                                     "IPC_LOCK",
                                                     "IPC_OWNER",
                                                     "SYS_MODULE",
                                                     "SYS_RAWIO",
                                                     "SYS_CHROOT",
                                                     "SYS_PTRACE",
                                                     "SYS_PACCT",
                                                     "SYS_ADMIN",
                                                     "SYS_BOOT",
                                                     "SYS_NICE",
                                                     "SYS_RESOURCE",
                                                     "SYS_TIME",
                                                     "SYS_TTY_CONFIG",
                                                     "MKNOD",
                                                     "LEASE",
                                                     "AUDIT_WRITE",
                                                     "AUDIT_CONTROL",
                                                     "SETFCAP",
                                                     "MAC_OVERRIDE",
                                                     "MAC_ADMIN",
                                                     "SYSLOG",
                                                     "WAKE_ALARM",
                                                     "BLOCK_SUSPEND",
                                                     "AUDIT_READ",
                                                     "PERFMON",
                                                     "BPF",
                                                     "CHECKPOINT_RESTORE"};
static_assert(kNames[CAP_SETPCAP] == "SETPCAP" && kNames[CAP_SYS_ADMIN] == "SYS_ADMIN");
static_assert(kNames[CAP_SETFCAP] == "SETFCAP" && kNames[CAP_CHECKPOINT_RESTORE] == "CHECKPOINT_RESTORE");

constexpr unsigned kBits = 64;

std::string bare_upper(std::string_view name) {
  std::string upper(name);
  std::transform(upper.begin(), upper.end(), upper.begin(),
                 [](char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c; });
  return upper.starts_with("CAP_") ? upper.substr(4) : upper;
}

bool is_all(const std::string& name) { return bare_upper(name) == "ALL"; }

bool names_all(const std::vector<std::string>& names) {
  return std::any_of(names.begin(), names.end(), is_all);
}

// The bits of the single names; ALL is not one.
Result<CapabilityMask> single_bits(const std::vector<std::string>& names, std::string_view option) {
  CapabilityMask mask = 0;
  for (const std::string& name : names) {
    if (!is_all(name)) mask |= TRY(parse_capability(name, option));
  }
  return mask;
}

int capget(CapabilityMask& effective, CapabilityMask& permitted, CapabilityMask& inheritable) noexcept {
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  std::array<__user_cap_data_struct, 2> data{};
  if (::syscall(SYS_capget, &header, data.data()) != 0) return errno;
  effective = data[0].effective | CapabilityMask{data[1].effective} << 32;
  permitted = data[0].permitted | CapabilityMask{data[1].permitted} << 32;
  inheritable = data[0].inheritable | CapabilityMask{data[1].inheritable} << 32;
  return 0;
}

int capset(CapabilityMask effective, CapabilityMask permitted, CapabilityMask inheritable) noexcept {
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  const auto low = [](CapabilityMask mask) { return static_cast<__u32>(mask); };
  const auto high = [](CapabilityMask mask) { return static_cast<__u32>(mask >> 32); };
  std::array<__user_cap_data_struct, 2> data{{{low(effective), low(permitted), low(inheritable)},
                                              {high(effective), high(permitted), high(inheritable)}}};
  return ::syscall(SYS_capset, &header, data.data()) == 0 ? 0 : errno;
}

// PR_CAPBSET_READ: 1 in the set, 0 not, -1 for a number that the kernel does not have.
int in_bounding_set(unsigned number) noexcept { return ::prctl(PR_CAPBSET_READ, number, 0, 0, 0); }

}  // namespace

CapabilityMask default_capabilities() {
  constexpr std::array<unsigned, 11> kDefault = {CAP_CHOWN,   CAP_DAC_OVERRIDE,     CAP_FOWNER,    CAP_FSETID,
                                                 CAP_KILL,    CAP_NET_BIND_SERVICE, CAP_SETFCAP,   CAP_SETGID,
                                                 CAP_SETPCAP, CAP_SETUID,           CAP_SYS_CHROOT};
  CapabilityMask mask = 0;
  for (const unsigned number : kDefault) mask |= capability_bit(number);
  return mask;
}

unsigned last_capability() {
  unsigned known = 0;  // CAP_CHOWN has always been there
  unsigned unknown = kBits;
  while (unknown - known > 1) {
    const unsigned middle = (known + unknown) / 2;
    (in_bounding_set(middle) >= 0 ? known : unknown) = middle;
  }
  return known;
}

CapabilityMask all_capabilities() { return ~CapabilityMask{0} >> (kBits - 1 - last_capability()); }

CapabilityMask held_capabilities() {
  CapabilityMask effective = 0;
  CapabilityMask permitted = 0;
  CapabilityMask inheritable = 0;
  if (capget(effective, permitted, inheritable) != 0) return 0;
  for (unsigned number = 0; number < kBits; ++number) {
    const bool asked = (permitted & capability_bit(number)) != 0;
    if (asked && in_bounding_set(number) != 1) permitted &= ~capability_bit(number);
  }
  return permitted;
}

std::optional<unsigned> capability_number(std::string_view name) {
  const auto* const found = std::find(kNames.begin(), kNames.end(), bare_upper(name));
  if (found == kNames.end()) return std::nullopt;
  return static_cast<unsigned>(found - kNames.begin());
}

Result<CapabilityMask> parse_capability(std::string_view name, std::string_view option) {
  if (bare_upper(name) == "ALL") return all_capabilities();
  const auto number = capability_number(name);
  if (!number) {
    return fail(Code::InvalidArgument,
                fmt::format("{}: no capability is called \"{}\": give one of capabilities(7), "
                            "such as NET_ADMIN, or ALL",
                            option, name));
  }
  return capability_bit(*number);
}

std::string capability_name(unsigned number) {
  return number < kNames.size() ? fmt::format("CAP_{}", kNames[number]) : fmt::format("CAP_{}", number);
}

std::vector<std::string> capability_names(CapabilityMask mask) {
  std::vector<std::string> names;
  for (unsigned number = 0; number < kBits; ++number) {
    if ((mask & capability_bit(number)) != 0) names.push_back(capability_name(number));
  }
  return names;
}

Result<CapabilityMask> resolve_capabilities(const std::vector<std::string>& add,
                                            const std::vector<std::string>& drop, bool privileged,
                                            CapabilityMask held) {
  const CapabilityMask added = TRY(single_bits(add, "--cap-add"));
  const CapabilityMask dropped = TRY(single_bits(drop, "--cap-drop"));
  if ((added & dropped) != 0) {
    return fail(Code::InvalidArgument,
                fmt::format("--cap-add and --cap-drop both name {}: leave one of them out",
                            join(capability_names(added & dropped), ", ")));
  }
  if ((added & ~held) != 0) {
    return fail(Code::FailedPrecondition,
                fmt::format("--cap-add {}: berth itself does not hold it here, so it cannot "
                            "hand it on",
                            join(capability_names(added & ~held), ", ")));
  }
  CapabilityMask base = default_capabilities();
  if (names_all(drop)) base = 0;
  if (names_all(add) || (privileged && !names_all(drop))) base = all_capabilities();
  return ((base & held) | added) & ~dropped;
}

int limit_bounding_set(CapabilityMask keep) noexcept {
  for (unsigned number = 0; number < kBits; ++number) {
    if ((keep & capability_bit(number)) != 0) continue;
    const int present = in_bounding_set(number);
    if (present < 0) return 0;  // past the last one that this kernel has
    if (present == 1 && ::prctl(PR_CAPBSET_DROP, number, 0, 0, 0) != 0) return errno;
  }
  return 0;
}

int keep_capabilities_across_setuid() noexcept {
  return ::prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) == 0 ? 0 : errno;
}

int set_capabilities(const CapabilitySets& sets) noexcept {
  CapabilityMask held_effective = 0;
  CapabilityMask held = 0;
  CapabilityMask held_inheritable = 0;
  if (const int error = capget(held_effective, held, held_inheritable); error != 0) return error;
  const CapabilityMask permitted = sets.permitted & held;
  const CapabilityMask inheritable = sets.inheritable & (held | held_inheritable);
  if (const int error = capset(sets.effective & permitted, permitted, inheritable); error != 0) return error;

  if (::prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) != 0) return errno;
  const CapabilityMask ambient = sets.ambient & permitted & inheritable;
  for (unsigned number = 0; number < kBits; ++number) {
    if ((ambient & capability_bit(number)) == 0) continue;
    if (::prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, number, 0, 0) != 0) return errno;
  }
  return 0;
}

int apply_capabilities(const CapabilitySets& sets) noexcept {
  if (const int error = limit_bounding_set(sets.bounding); error != 0) return error;
  return set_capabilities(sets);
}

Result<CapabilitySets> read_capabilities(int pid) {
  const std::string path = fmt::format("/proc/{}/status", pid);
  const std::string status = TRY(read_file(path));
  CapabilitySets sets;
  const std::array<std::pair<std::string_view, CapabilityMask*>, 5> fields = {{{"CapInh:", &sets.inheritable},
                                                                               {"CapPrm:", &sets.permitted},
                                                                               {"CapEff:", &sets.effective},
                                                                               {"CapBnd:", &sets.bounding},
                                                                               {"CapAmb:", &sets.ambient}}};
  for (const std::string& line : split(status, '\n')) {
    for (const auto& [key, value] : fields) {
      if (line.starts_with(key))
        *value = parse_u64(trim(std::string_view(line).substr(key.size())), 16).value_or(0);
    }
  }
  return sets;
}

}  // namespace berth::sys
