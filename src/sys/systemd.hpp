// Control groups that systemd makes: transient scopes (org.freedesktop.systemd1.Manager, StartTransientUnit).
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/result.hpp"
#include "sys/dbus.hpp"

namespace berth::sys {

// A property of a unit (org.freedesktop.systemd1(5)) with its D-Bus type.
struct SystemdProperty {
  std::string name;
  std::string signature;
  std::function<void(DBusWriter&)> write;

  // Of type "t", such as MemoryMax; UINT64_MAX is systemd's "infinity".
  SystemdProperty(std::string name, std::uint64_t number);
  static SystemdProperty text(std::string name, std::string value);
  static SystemdProperty flag(std::string name, bool value);
  static SystemdProperty small_number(std::string name, std::string_view signature,
                                      std::uint32_t value);  // i, u
  static SystemdProperty texts(std::string name, std::vector<std::string> values);
  // A set of numbers, such as AllowedCPUs, as bits of bytes.
  static SystemdProperty bits(std::string name, const std::vector<unsigned>& numbers);
  static SystemdProperty pairs(std::string name, std::vector<std::pair<std::string, std::string>> values);

 private:
  SystemdProperty(std::string property, std::string type, std::function<void(DBusWriter&)> writer)
      : name(std::move(property)), signature(std::move(type)), write(std::move(writer)) {}
};

struct SystemdScope {
  std::string slice;  // "machine.slice"
  std::string name;   // "libpod-1234.scope"
  std::string description;
  std::vector<SystemdProperty> properties;
};

// "SLICE:PREFIX:NAME" of linux.cgroupsPath: "PREFIX-NAME.scope" in SLICE, or, where NAME ends in ".slice",
// that. An empty slice is "system.slice" ("user.slice" for an ordinary user's systemd). InvalidArgument for
// another form.
Result<SystemdScope> parse_systemd_path(const std::string& cgroups_path, bool user);
// Where a slice's group is: "a-b.slice" is "a.slice/a-b.slice"; "-.slice" is the root, "" (systemd.slice(5)).
// InvalidArgument for what is no slice's name.
Result<std::string> systemd_slice_path(const std::string& slice);

class Systemd {
 public:
  // The system's, or the user's own. FailedPrecondition where none runs, naming the socket that was looked
  // for.
  static Result<Systemd> connect(bool user);

  // Makes the scope, with `pid` in it, and waits until it is there; an older failed one of that name is
  // cleared away first. Its group (Delegate=yes) is then the caller's to use: below the v2 mount, or each v1
  // hierarchy, at slice path / name.
  Result<void> start_scope(const SystemdScope& scope, pid_t pid);
  // Changes properties of a unit that runs; until the next boot.
  Result<void> set_properties(const std::string& unit, const std::vector<SystemdProperty>& properties);
  // Absent is fine.
  Result<void> stop_unit(const std::string& unit);
  // Where systemd put a unit's group, relative to the hierarchy's root: "/machine.slice/x.scope".
  Result<std::string> control_group(const std::string& scope);

 private:
  explicit Systemd(DBusConnection connection) : connection_(std::move(connection)) {}
  Result<DBusMessage> call(const std::string& member, const std::string& signature, std::string body);
  Result<void> finish_job(const DBusMessage& reply, const std::string& what);
  DBusConnection connection_;
};

}  // namespace berth::sys
