#include "sys/systemd.hpp"

#include <fmt/core.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cstdlib>

#include "base/text.hpp"
#include "sys/fd.hpp"

namespace berth::sys {
namespace {

constexpr const char* kPrivateSocket = "/run/systemd/private";  // systemd itself; root's alone
constexpr const char* kSystemBus = "/run/dbus/system_bus_socket";
constexpr std::string_view kService = "org.freedesktop.systemd1";

Failure no_systemd(const std::string& socket, const Error& why) {
  return fail(
      Code::FailedPrecondition,
      fmt::format("no systemd can be reached at {} ({}): use the cgroupfs manager", socket, why.message));
}

std::string unit_letters(std::string_view text) {
  std::string plain;
  for (const char c : text) {
    const bool fine = std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '-' || c == '_' || c == '.' ||
                      c == ':' || c == '\\' || c == '@';
    if (!fine) return "";
    plain += c;
  }
  return plain;
}

template <typename Value>
void property(DBusWriter& writer, std::string_view name, std::string_view type, Value value) {
  writer.align(8);
  writer.string(name);
  writer.signature(type);
  value();
}

void write_properties(DBusWriter& writer, const std::vector<SystemdProperty>& properties) {
  for (const SystemdProperty& one : properties)
    property(writer, one.name, one.signature, [&] { one.write(writer); });
}

std::string scope_body(const SystemdScope& scope, pid_t pid) {
  DBusWriter writer;
  writer.string(scope.name);
  writer.string("replace");
  writer.array(8, [&] {
    property(writer, "Description", "s", [&] { writer.string(scope.description); });
    property(writer, "Slice", "s", [&] { writer.string(scope.slice); });
    property(writer, "Delegate", "b", [&] { writer.boolean(true); });
    property(writer, "DefaultDependencies", "b", [&] { writer.boolean(false); });
    // A scope whose processes have all gone vanishes, also after a failure.
    property(writer, "CollectMode", "s", [&] { writer.string("inactive-or-failed"); });
    property(writer, "PIDs", "au",
             [&] { writer.array(4, [&] { writer.u32(static_cast<std::uint32_t>(pid)); }); });
    write_properties(writer, scope.properties);
  });
  writer.array(8, [] {});  // auxiliary units
  return writer.bytes();
}

}  // namespace

SystemdProperty::SystemdProperty(std::string property, std::uint64_t number)
    : name(std::move(property)),
      signature("t"),
      write([number](DBusWriter& writer) { writer.u64(number); }) {}

SystemdProperty SystemdProperty::text(std::string name, std::string value) {
  return {std::move(name), "s", [value = std::move(value)](DBusWriter& writer) { writer.string(value); }};
}

SystemdProperty SystemdProperty::flag(std::string name, bool value) {
  return {std::move(name), "b", [value](DBusWriter& writer) { writer.boolean(value); }};
}

SystemdProperty SystemdProperty::small_number(std::string name, std::string_view signature,
                                              std::uint32_t value) {
  return {std::move(name), std::string(signature), [value](DBusWriter& writer) { writer.u32(value); }};
}

SystemdProperty SystemdProperty::texts(std::string name, std::vector<std::string> values) {
  return {std::move(name), "as", [values = std::move(values)](DBusWriter& writer) {
            writer.array(4, [&] {
              for (const std::string& value : values) writer.string(value);
            });
          }};
}

SystemdProperty SystemdProperty::bits(std::string name, const std::vector<unsigned>& numbers) {
  std::vector<std::uint8_t> bytes;
  for (const unsigned number : numbers) {
    bytes.resize(std::max<std::size_t>(bytes.size(), number / 8 + 1));
    bytes[number / 8] = static_cast<std::uint8_t>(bytes[number / 8] | 1U << number % 8);
  }
  return {std::move(name), "ay", [bytes = std::move(bytes)](DBusWriter& writer) {
            writer.array(1, [&] {
              for (const std::uint8_t byte : bytes) writer.byte(byte);
            });
          }};
}

SystemdProperty SystemdProperty::pairs(std::string name,
                                       std::vector<std::pair<std::string, std::string>> values) {
  return {std::move(name), "a(ss)", [values = std::move(values)](DBusWriter& writer) {
            writer.array(8, [&] {
              for (const auto& [first, second] : values) {
                writer.align(8);
                writer.string(first);
                writer.string(second);
              }
            });
          }};
}

Result<SystemdScope> parse_systemd_path(const std::string& cgroups_path, bool user) {
  const std::vector<std::string> parts = split(cgroups_path, ':');
  if (parts.size() != 3 || parts[2].empty()) {
    return fail(Code::InvalidArgument,
                fmt::format("linux.cgroupsPath: \"{}\": with the systemd manager give SLICE:PREFIX:NAME",
                            cgroups_path));
  }
  SystemdScope scope;
  scope.slice = parts[0].empty() ? (user ? "user.slice" : "system.slice") : parts[0];
  TRY_DURING("linux.cgroupsPath", systemd_slice_path(scope.slice));
  const bool is_slice = parts[2].ends_with(".slice");
  scope.name = is_slice ? parts[2] : (parts[1].empty() ? "" : parts[1] + "-") + parts[2] + ".scope";
  if (unit_letters(scope.name).empty())
    return fail(Code::InvalidArgument,
                fmt::format("linux.cgroupsPath: systemd has no units called \"{}\"", scope.name));
  scope.description = "berth container " + parts[2];
  return scope;
}

Result<std::string> systemd_slice_path(const std::string& slice) {
  constexpr std::string_view kSuffix = ".slice";
  if (slice == "-.slice") return std::string();
  const std::string name = slice.ends_with(kSuffix) ? slice.substr(0, slice.size() - kSuffix.size()) : "";
  const std::vector<std::string> steps = split(name, '-');
  const bool plain = !unit_letters(name).empty() &&
                     std::none_of(steps.begin(), steps.end(), [](const auto& step) { return step.empty(); });
  if (!plain) return fail(Code::InvalidArgument, fmt::format("\"{}\" is not the name of a slice", slice));
  std::string path;
  std::string walked;
  for (const std::string& step : steps) {
    walked += (walked.empty() ? "" : "-") + step;
    path += (path.empty() ? "" : "/") + walked + std::string(kSuffix);
  }
  return path;
}

Result<Systemd> Systemd::connect(bool user) {
  std::string socket = kSystemBus;
  bool bus = true;
  if (user) {
    const char* runtime = std::getenv("XDG_RUNTIME_DIR");
    socket = fmt::format("{}/bus", runtime != nullptr ? runtime : fmt::format("/run/user/{}", ::getuid()));
  } else if (exists(kPrivateSocket) && ::geteuid() == 0) {
    socket = kPrivateSocket;
    bus = false;
  }
  auto connection = DBusConnection::open(socket, bus);
  if (!connection) return no_systemd(socket, connection.error());
  Systemd systemd(*std::move(connection));
  // Without it a bus tells nothing of jobs.
  if (bus) {
    DBusMessage match{
        .path = "/org/freedesktop/DBus", .interface = "org.freedesktop.DBus", .member = "AddMatch"};
    match.destination = "org.freedesktop.DBus";
    match.signature = "s";
    DBusWriter writer;
    writer.string(fmt::format("type='signal',interface='{}.Manager',member='JobRemoved'", kService));
    match.body = writer.bytes();
    TRY(systemd.connection_.call(std::move(match)));
  }
  auto subscribed = systemd.call("Subscribe", "", "");
  if (!subscribed) return no_systemd(socket, subscribed.error());
  return systemd;
}

Result<DBusMessage> Systemd::call(const std::string& member, const std::string& signature, std::string body) {
  DBusMessage message{.path = "/org/freedesktop/systemd1", .interface = fmt::format("{}.Manager", kService)};
  message.member = member;
  message.destination = kService;
  message.signature = signature;
  message.body = std::move(body);
  return TRY_DURING("systemd", connection_.call(std::move(message)));
}

Result<void> Systemd::finish_job(const DBusMessage& reply, const std::string& what) {
  const std::string job = TRY(DBusReader(reply.body).string());
  std::string result;
  // JobRemoved: id, job, unit, result.
  const auto ours = [&](const DBusMessage& signal) {
    DBusReader reader(signal.body);
    const auto id = reader.u32();
    const auto removed = reader.string();
    const auto unit = reader.string();
    const auto outcome = reader.string();
    if (!id || !removed || !unit || !outcome || *removed != job) return false;
    result = *outcome;
    return true;
  };
  TRY_DURING("systemd", connection_.wait_for_signal("JobRemoved", ours));
  if (result == "done") return {};
  return fail(Code::Aborted, fmt::format("systemd could not {}: the job ended as \"{}\"", what, result));
}

Result<void> Systemd::start_scope(const SystemdScope& scope, pid_t pid) {
  DBusWriter name;
  name.string(scope.name);
  // Fails where there is none, which is the usual case.
  static_cast<void>(call("ResetFailedUnit", "s", name.bytes()));
  const DBusMessage reply = TRY(call("StartTransientUnit", "ssa(sv)a(sa(sv))", scope_body(scope, pid)));
  return finish_job(reply, "start " + scope.name);
}

Result<void> Systemd::set_properties(const std::string& unit,
                                     const std::vector<SystemdProperty>& properties) {
  if (properties.empty()) return {};
  DBusWriter writer;
  writer.string(unit);
  writer.boolean(true);  // until the next boot
  writer.array(8, [&] { write_properties(writer, properties); });
  TRY(call("SetUnitProperties", "sba(sv)", writer.bytes()));
  return {};
}

Result<void> Systemd::stop_unit(const std::string& unit) {
  DBusWriter writer;
  writer.string(unit);
  writer.string("replace");
  auto reply = call("StopUnit", "ss", writer.bytes());
  if (!reply && reply.error().message.find("NoSuchUnit") != std::string::npos) return {};
  return finish_job(TRY(std::move(reply)), "stop " + unit);
}

Result<std::string> Systemd::control_group(const std::string& scope) {
  DBusWriter name;
  name.string(scope);
  const std::string unit = TRY(DBusReader(TRY(call("GetUnit", "s", name.bytes())).body).string());
  DBusMessage get{.path = unit, .interface = "org.freedesktop.DBus.Properties", .member = "Get"};
  get.destination = kService;
  get.signature = "ss";
  DBusWriter writer;
  writer.string(fmt::format("{}.{}", kService, scope.ends_with(".slice") ? "Slice" : "Scope"));
  writer.string("ControlGroup");
  get.body = writer.bytes();
  const DBusMessage reply = TRY_DURING("systemd", connection_.call(std::move(get)));
  DBusReader reader(reply.body);
  if (TRY(reader.signature()) != "s") return fail(Code::Internal, "systemd: ControlGroup is not text");
  return reader.string();
}

}  // namespace berth::sys
