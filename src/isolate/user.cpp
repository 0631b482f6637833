#include "isolate/user.hpp"

#include <fmt/core.h>

#include <algorithm>

#include "base/text.hpp"

namespace berth::isolate {
namespace {

constexpr std::size_t kMaxFileBytes = 4 << 20;
constexpr std::uint64_t kMaxId = 0xfffffffe;  // (uid_t)-1 means "no change" to the kernel
constexpr std::size_t kMaxGroups = 65536;     // NGROUPS_MAX

struct PasswdEntry {
  std::string name;
  uid_t uid = 0;
  gid_t gid = 0;
  std::string home;
};
struct GroupEntry {
  std::string name;
  gid_t gid = 0;
  std::vector<std::string> members;
};

std::optional<std::uint32_t> parse_id(std::string_view text) {
  const auto id = parse_u64(text);
  return id && *id <= kMaxId ? std::optional(static_cast<std::uint32_t>(*id)) : std::nullopt;
}

std::vector<PasswdEntry> parse_passwd(std::string_view text) {
  std::vector<PasswdEntry> entries;
  for (const std::string& line : split(text, '\n')) {
    const auto fields = split(line, ':');
    if (fields.size() < 6 || fields[0].empty()) continue;
    const auto uid = parse_id(fields[2]);
    const auto gid = parse_id(fields[3]);
    if (uid && gid) entries.push_back({fields[0], *uid, *gid, fields[5]});
  }
  return entries;
}

std::vector<GroupEntry> parse_group(std::string_view text) {
  std::vector<GroupEntry> entries;
  for (const std::string& line : split(text, '\n')) {
    const auto fields = split(line, ':');
    if (fields.size() < 3 || fields[0].empty()) continue;
    if (const auto gid = parse_id(fields[2])) {
      entries.push_back(
          {fields[0], *gid, fields.size() > 3 ? split(fields[3], ',') : std::vector<std::string>{}});
    }
  }
  return entries;
}

std::string read_or_empty(int root, const char* path) {
  const auto fd = sys::open_in_root(root, path, O_RDONLY | O_NONBLOCK);
  if (!fd) return {};
  return sys::read_all(fd->get(), kMaxFileBytes).value_or(std::string());
}

Result<gid_t> find_group(const std::vector<GroupEntry>& groups, const std::string& name) {
  const auto found =
      std::find_if(groups.begin(), groups.end(), [&](const auto& g) { return g.name == name; });
  if (found != groups.end()) return found->gid;
  if (const auto gid = parse_id(name)) return *gid;
  return fail(Code::InvalidArgument, fmt::format("group \"{}\": not in the image's /etc/group", name));
}

}  // namespace

Result<Credentials> resolve_user_in(std::string_view passwd, std::string_view group, std::string_view spec) {
  const auto colon = spec.find(':');
  const std::string user(spec.substr(0, colon));
  const std::string group_name(colon == std::string_view::npos ? "" : spec.substr(colon + 1));
  const auto users = parse_passwd(passwd);
  const auto groups = parse_group(group);

  Credentials credentials;
  const auto number = parse_id(user.empty() ? "0" : user);
  const auto entry = std::find_if(users.begin(), users.end(), [&](const PasswdEntry& e) {
    return e.name == user || (number && e.uid == *number);
  });
  if (entry == users.end() && !number) {
    return fail(Code::InvalidArgument, fmt::format("user \"{}\": not in the image's /etc/passwd", user));
  }
  credentials.uid = entry != users.end() ? entry->uid : *number;
  credentials.gid = entry != users.end() ? entry->gid : 0;
  if (entry != users.end() && entry->home.starts_with('/'))
    credentials.home = entry->home;
  else if (credentials.uid == 0)
    credentials.home = "/root";
  if (!group_name.empty()) {
    credentials.gid = TRY(find_group(groups, group_name));
    return credentials;
  }
  if (entry == users.end()) return credentials;
  for (const GroupEntry& g : groups) {
    const bool listed = std::find(g.members.begin(), g.members.end(), entry->name) != g.members.end();
    if (listed && credentials.groups.size() < kMaxGroups) credentials.groups.push_back(g.gid);
  }
  return credentials;
}

Result<Credentials> resolve_user(int root, std::string_view spec) {
  return resolve_user_in(read_or_empty(root, "etc/passwd"), read_or_empty(root, "etc/group"), spec);
}

}  // namespace berth::isolate
