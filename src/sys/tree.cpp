// Whole directory trees: make, remove, measure. Declared in sys/fd.hpp and sys/entry.hpp.
#include <dirent.h>
#include <fmt/core.h>
#include <unistd.h>

#include <cstring>
#include <memory>
#include <set>

#include "base/text.hpp"
#include "sys/entry.hpp"
#include "sys/fd.hpp"

namespace berth::sys {
namespace {

class Dir {
 public:
  static Result<Dir> open(int parent, const std::string& name) {
    Fd fd = TRY(open_at(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW));
    DIR* stream = ::fdopendir(fd.get());
    if (stream == nullptr) return fail_errno(fmt::format("cannot list {}", name));
    static_cast<void>(fd.release());
    return Dir(stream);
  }
  int fd() const { return ::dirfd(stream_.get()); }
  const dirent* next() {
    for (;;) {
      const dirent* entry = ::readdir(stream_.get());
      if (entry == nullptr) return nullptr;
      if (std::strcmp(entry->d_name, ".") != 0 && std::strcmp(entry->d_name, "..") != 0) return entry;
    }
  }

 private:
  struct Closer {
    void operator()(DIR* stream) const { ::closedir(stream); }
  };
  explicit Dir(DIR* stream) : stream_(stream) {}
  std::unique_ptr<DIR, Closer> stream_;
};

Result<void> remove_entry(int parent, const std::string& name);

Result<void> remove_children(int parent, const std::string& name) {
  auto opened = Dir::open(parent, name);
  if (!opened && opened.error().sys_errno == EACCES && ::fchmodat(parent, name.c_str(), 0700, 0) == 0) {
    opened = Dir::open(parent, name);  // an image may hold directories that an ordinary user may not list
  }
  Dir dir = TRY(std::move(opened));
  struct stat info {};
  if (::geteuid() != 0 && ::fstat(dir.fd(), &info) == 0 && (info.st_mode & 0700) != 0700) {
    static_cast<void>(::fchmod(dir.fd(), 0700));
  }
  while (const dirent* entry = dir.next()) TRY(remove_entry(dir.fd(), entry->d_name));
  return {};
}

Result<void> remove_entry(int parent, const std::string& name) {
  if (::unlinkat(parent, name.c_str(), 0) == 0 || errno == ENOENT) return {};
  if (errno != EISDIR && errno != EPERM && errno != EACCES)
    return fail_errno(fmt::format("cannot remove {}", name));
  if (::unlinkat(parent, name.c_str(), AT_REMOVEDIR) == 0 || errno == ENOENT) return {};
  if (errno != ENOTEMPTY && errno != EEXIST) return fail_errno(fmt::format("cannot remove {}", name));
  TRY(remove_children(parent, name));
  if (::unlinkat(parent, name.c_str(), AT_REMOVEDIR) == 0 || errno == ENOENT) return {};
  return fail_errno(fmt::format("cannot remove {}", name));
}

Result<std::uint64_t> usage_below(int parent, const std::string& name,
                                  std::set<std::pair<dev_t, ino_t>>& seen) {
  struct stat info {};
  if (::fstatat(parent, name.c_str(), &info, AT_SYMLINK_NOFOLLOW) != 0) {
    if (errno == ENOENT) return std::uint64_t{0};
    return fail_errno(fmt::format("cannot stat {}", name));
  }
  if (!S_ISDIR(info.st_mode) && info.st_nlink > 1 && !seen.emplace(info.st_dev, info.st_ino).second) {
    return std::uint64_t{0};
  }
  std::uint64_t total = static_cast<std::uint64_t>(info.st_blocks) * 512;
  if (!S_ISDIR(info.st_mode)) return total;
  Dir dir = TRY(Dir::open(parent, name));
  while (const dirent* entry = dir.next()) total += TRY(usage_below(dir.fd(), entry->d_name, seen));
  return total;
}

}  // namespace

Result<void> make_dir(const std::string& path, mode_t mode) {
  if (::mkdir(path.c_str(), mode) == 0 || errno == EEXIST) return {};
  const auto slash = path.rfind('/');
  if (errno != ENOENT || slash == std::string::npos || slash == 0) {
    return fail_errno(fmt::format("cannot make directory {}", path));
  }
  TRY(make_dir(path.substr(0, slash), 0755));
  if (::mkdir(path.c_str(), mode) == 0 || errno == EEXIST) return {};
  return fail_errno(fmt::format("cannot make directory {}", path));
}

Result<void> remove_tree(const std::string& path) {
  TRY_DURING(fmt::format("cannot remove {}", path), remove_entry(AT_FDCWD, path));
  return {};
}

Result<void> remove_tree_at(int dir, const std::string& name) { return remove_entry(dir, name); }

Result<std::uint64_t> disk_usage(const std::string& path) {
  std::set<std::pair<dev_t, ino_t>> seen;
  return usage_below(AT_FDCWD, path, seen);
}

}  // namespace berth::sys
