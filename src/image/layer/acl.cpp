#include "image/layer/acl.hpp"

#include <archive_entry.h>
#include <endian.h>

#include <algorithm>
#include <cstdint>
#include <tuple>

namespace berth::image {
namespace {

// linux/posix_acl_xattr.h: a version, then entries of (tag, permissions, id), little-endian, sorted by tag
// and id.
constexpr std::uint32_t kVersion = 2;
constexpr std::uint32_t kNoId = 0xffffffff;

struct Member {
  std::uint16_t tag = 0;
  std::uint16_t permissions = 0;
  std::uint32_t id = kNoId;
};

std::uint16_t kernel_tag(int tag) {
  switch (tag) {
    case ARCHIVE_ENTRY_ACL_USER_OBJ:
      return 0x01;
    case ARCHIVE_ENTRY_ACL_USER:
      return 0x02;
    case ARCHIVE_ENTRY_ACL_GROUP_OBJ:
      return 0x04;
    case ARCHIVE_ENTRY_ACL_GROUP:
      return 0x08;
    case ARCHIVE_ENTRY_ACL_MASK:
      return 0x10;
    case ARCHIVE_ENTRY_ACL_OTHER:
      return 0x20;
    default:
      return 0;
  }
}

std::vector<Member> members_of(archive_entry* entry, int list) {
  std::vector<Member> members;
  if (archive_entry_acl_reset(entry, list) == 0) return members;
  int type = 0;
  int permissions = 0;
  int tag = 0;
  int id = -1;
  const char* name = nullptr;
  while (archive_entry_acl_next(entry, list, &type, &permissions, &tag, &id, &name) == 0) {
    const std::uint16_t kind = kernel_tag(tag);
    const bool named = kind == 0x02 || kind == 0x08;
    if (kind == 0 || (named && id < 0)) continue;
    members.push_back(
        {kind, static_cast<std::uint16_t>(permissions & 7), named ? static_cast<std::uint32_t>(id) : kNoId});
  }
  std::sort(members.begin(), members.end(),
            [](const Member& a, const Member& b) { return std::tie(a.tag, a.id) < std::tie(b.tag, b.id); });
  return members;
}

template <typename T>
void append(std::string& bytes, T little_endian) {
  bytes.append(reinterpret_cast<const char*>(&little_endian), sizeof little_endian);
}

void append_list(archive_entry* entry, int list, const char* key, std::vector<sys::Xattr>& xattrs) {
  const std::vector<Member> members = members_of(entry, list);
  if (members.empty()) return;
  std::string value;
  append(value, htole32(kVersion));
  for (const Member& member : members) {
    append(value, htole16(member.tag));
    append(value, htole16(member.permissions));
    append(value, htole32(member.id));
  }
  xattrs.emplace_back(key, std::move(value));
}

}  // namespace

void append_acls(archive_entry* entry, std::vector<sys::Xattr>& xattrs) {
  const int present = archive_entry_acl_types(entry);
  if ((present & ARCHIVE_ENTRY_ACL_TYPE_ACCESS) != 0) {
    append_list(entry, ARCHIVE_ENTRY_ACL_TYPE_ACCESS, "system.posix_acl_access", xattrs);
  }
  if ((present & ARCHIVE_ENTRY_ACL_TYPE_DEFAULT) != 0) {
    append_list(entry, ARCHIVE_ENTRY_ACL_TYPE_DEFAULT, "system.posix_acl_default", xattrs);
  }
}

}  // namespace berth::image
