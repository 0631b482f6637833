// POSIX access control lists of an archive's entry, as the extended attributes that the kernel keeps them in.
#pragma once

#include <vector>

#include "sys/entry.hpp"

struct archive_entry;

namespace berth::image {

// Adds system.posix_acl_access and system.posix_acl_default where `entry` has such lists (pax SCHILY.acl.*).
// Members known by name alone are left out: names mean nothing outside the image.
void append_acls(archive_entry* entry, std::vector<sys::Xattr>& xattrs);

}  // namespace berth::image
