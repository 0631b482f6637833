#include "isolate/user.hpp"

#include <fmt/core.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <optional>

#include "base/text.hpp"

namespace berth::isolate {
namespace {

constexpr std::size_t kMaxFileBytes = 4 << 20;
constexpr std::uint64_t kMaxId = 0xfffffffe;  // (uid_t)-1 means "no change" to the kernel
constexpr std::size_t kMaxGroups = 65536;     // NGROUPS_MAX

struct PasswdEntry {
  std::string_view name;
  uid_t uid = 0;
  gid_t gid = 0;
  std::string_view home;
};
struct GroupEntry {
  std::string_view name;
  gid_t gid = 0;
  std::string_view members;
};

std::optional<std::uint32_t> parse_id(std::string_view text) {
  const auto id = parse_u64(text);
  return id && *id <= kMaxId ? std::optional(static_cast<std::uint32_t>(*id)) : std::nullopt;
}

// Takes what stands before the next `separator` off `text`.
std::string_view take(std::string_view& text, char separator) {
  const auto end = text.find(separator);
  const std::string_view part = text.substr(0, end);
  text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
  return part;
}

template <std::size_t kCount>
bool split_line(std::string_view line, std::array<std::string_view, kCount>& fields) {
  if (static_cast<std::size_t>(std::count(line.begin(), line.end(), ':')) + 1 < kCount) return false;
  for (std::string_view& field : fields) field = take(line, ':');
  return !fields[0].empty();
}

// The first entry that `wanted` takes, or all that it is shown. Line by line: a hostile file costs no memory
// but its own.
template <typename Wanted>
std::optional<PasswdEntry> find_user(std::string_view text, Wanted wanted) {
  std::array<std::string_view, 6> fields;
  while (!text.empty()) {
    if (!split_line(take(text, '\n'), fields)) continue;
    const auto uid = parse_id(fields[2]);
    const auto gid = parse_id(fields[3]);
    if (!uid || !gid) continue;
    const PasswdEntry entry{fields[0], *uid, *gid, fields[5]};
    if (wanted(entry)) return entry;
  }
  return std::nullopt;
}

template <typename Wanted>
std::optional<GroupEntry> find_group(std::string_view text, Wanted wanted) {
  std::array<std::string_view, 3> fields;
  while (!text.empty()) {
    std::string_view line = take(text, '\n');
    if (!split_line(line, fields)) continue;
    const auto gid = parse_id(fields[2]);
    for (int i = 0; i < 3; ++i) take(line, ':');
    if (!gid) continue;
    const GroupEntry entry{fields[0], *gid, take(line, ':')};
    if (wanted(entry)) return entry;
  }
  return std::nullopt;
}

bool lists(std::string_view members, std::string_view user) {
  while (!members.empty()) {
    if (take(members, ',') == user) return true;
  }
  return false;
}

// Only a plain file is read: opening a device can do something.
std::string read_or_empty(int root, const char* path) {
  const auto found = sys::open_in_root(root, path, O_PATH);
  struct stat info {};
  if (!found || ::fstat(found->get(), &info) != 0 || !S_ISREG(info.st_mode)) return {};
  const auto file = sys::open(fmt::format("/proc/self/fd/{}", found->get()), O_RDONLY);
  return file ? sys::read_all(file->get(), kMaxFileBytes).value_or(std::string()) : std::string();
}

bool is_number(std::string_view text) {
  return !text.empty() && text.find_first_not_of("0123456789") == std::string_view::npos;
}

// What is written as a number is that number, whoever may be called so in the image (CVE-2024-40635 made an
// overflow of it the user 0).
Result<std::uint32_t> number_of(std::string_view kind, std::string_view text) {
  if (const auto id = parse_id(text)) return *id;
  return fail(Code::InvalidArgument, fmt::format("{} {}: numbers go up to {}", kind, text, kMaxId));
}

Result<gid_t> group_of(std::string_view groups, std::string_view name) {
  if (is_number(name)) return number_of("group", name);
  if (const auto found = find_group(groups, [&](const GroupEntry& g) { return g.name == name; }))
    return found->gid;
  return fail(Code::InvalidArgument, fmt::format("group \"{}\": not in the image's /etc/group", name));
}

std::vector<gid_t> groups_of(std::string_view groups, std::string_view user) {
  std::vector<gid_t> found;
  find_group(groups, [&](const GroupEntry& group) {
    if (lists(group.members, user) && found.size() < kMaxGroups) found.push_back(group.gid);
    return false;
  });
  return found;
}

}  // namespace

Result<Credentials> resolve_user_in(std::string_view passwd, std::string_view group, std::string_view spec) {
  const auto colon = spec.find(':');
  const std::string_view user = colon == 0 || spec.empty() ? "0" : spec.substr(0, colon);
  const std::string_view group_name = colon == std::string_view::npos ? "" : spec.substr(colon + 1);

  Credentials credentials;
  std::optional<PasswdEntry> entry;
  if (is_number(user)) {
    credentials.uid = TRY(number_of("user", user));
    entry = find_user(passwd, [&](const PasswdEntry& e) { return e.uid == credentials.uid; });
  } else {
    entry = find_user(passwd, [&](const PasswdEntry& e) { return e.name == user; });
    if (!entry)
      return fail(Code::InvalidArgument, fmt::format("user \"{}\": not in the image's /etc/passwd", user));
    credentials.uid = entry->uid;
  }
  credentials.gid = entry ? entry->gid : 0;
  if (entry && entry->home.starts_with('/'))
    credentials.home = std::string(entry->home);
  else if (credentials.uid == 0)
    credentials.home = "/root";
  if (!group_name.empty())
    credentials.gid = TRY(group_of(group, group_name));
  else if (entry)
    credentials.groups = groups_of(group, entry->name);
  return credentials;
}

std::string user_name(std::string_view passwd, std::uint64_t uid) {
  const auto entry = find_user(passwd, [&](const PasswdEntry& e) { return e.uid == uid; });
  return entry ? std::string(entry->name) : std::to_string(uid);
}

Result<Credentials> resolve_user(int root, std::string_view spec) {
  return resolve_user_in(read_or_empty(root, "etc/passwd"), read_or_empty(root, "etc/group"), spec);
}

}  // namespace berth::isolate
