// The option words of a mount, as the OCI runtime specification lists them (config.md, "Linux mount
// options").
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/json.hpp"
#include "base/result.hpp"

namespace berth::isolate {

// MOUNT_ATTR_* of <linux/mount.h>, which cannot be included next to glibc's <sys/mount.h>.
namespace attr {
inline constexpr std::uint64_t kReadOnly = 0x1;
inline constexpr std::uint64_t kNoSuid = 0x2;
inline constexpr std::uint64_t kNoDev = 0x4;
inline constexpr std::uint64_t kNoExec = 0x8;
inline constexpr std::uint64_t kNoAtime = 0x10;
inline constexpr std::uint64_t kStrictAtime = 0x20;
inline constexpr std::uint64_t kAtimeMask = 0x70;  // one of three ways; relatime is none of the bits
inline constexpr std::uint64_t kNoDirAtime = 0x80;
inline constexpr std::uint64_t kNoSymFollow = 0x200000;
}  // namespace attr

// Attributes to be set and cleared, as mount_setattr(2) takes them.
struct AttributeChange {
  std::uint64_t set = 0;
  std::uint64_t clear = 0;
  bool empty() const { return set == 0 && clear == 0; }
};

struct PropagationChange {
  std::uint64_t kind = 0;  // MS_PRIVATE, MS_SLAVE, MS_SHARED or MS_UNBINDABLE
  bool recursive = false;
};

enum class IdShift { None, Mount, Tree };

struct MountOptions {
  bool bind = false;
  bool recursive_bind = false;  // with bind
  bool remount = false;
  bool copy_up = false;  // tmpcopyup: a new tmpfs starts with what it covers
  bool source_nofollow = false;
  AttributeChange mount;                       // of the mount itself
  AttributeChange tree;                        // of it and all below
  std::vector<PropagationChange> propagation;  // in this order, after the mount is in place
  IdShift shift = IdShift::None;
  std::vector<std::pair<std::string, std::string>> superblock;  // generic file system options: "sync", ...
  std::vector<std::pair<std::string, std::string>> data;  // for the file system; an empty value is a flag
};

// A later word wins over an earlier one. Words that are not in the table are data for the file system.
// InvalidArgument names the word: no letter, too long for the kernel (255 bytes), or data on a bind mount.
Result<MountOptions> parse_mount_options(const JsonView& words);
Result<MountOptions> parse_mount_options(const std::vector<std::string>& words, const std::string& field);

// All words of the table, sorted (the specification's features.md, "mountOptions").
std::vector<std::string_view> mount_option_words();

// "private", "rslave", ...: linux.rootfsPropagation too. Nothing where it is none of the eight words.
std::optional<PropagationChange> parse_propagation(std::string_view word);

}  // namespace berth::isolate
