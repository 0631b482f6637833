// One entry of a layer archive, as read or to be written.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <ctime>
#include <string>
#include <string_view>
#include <vector>

#include "sys/entry.hpp"

namespace berth::image {

enum class EntryType { File, Directory, Symlink, HardLink, CharDevice, BlockDevice, Fifo };

// What a file carries besides its content.
struct Metadata {
  mode_t mode = 0;  // permission and set-id bits only
  uid_t uid = 0;
  gid_t gid = 0;
  timespec mtime{};
  std::vector<sys::Xattr> xattrs;
};

struct TarEntry {
  EntryType type = EntryType::File;
  std::string path;    // byte for byte as the archive has it
  std::string target;  // of a link
  std::uint64_t size = 0;
  dev_t device = 0;
  Metadata metadata;
};

// A name from an archive for a message: control and non-ASCII bytes escaped, long ones shortened.
std::string quoted(std::string_view name);

}  // namespace berth::image
