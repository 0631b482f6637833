#include "sys/sysctl.hpp"

#include <fmt/core.h>
#include <linux/magic.h>
#include <linux/openat2.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "base/text.hpp"
#include "sys/fd.hpp"

namespace berth::sys {

Result<std::string> sysctl_path(std::string_view key) {
  std::string path(key);
  const std::size_t first = path.find_first_of("./");
  if (first != std::string::npos && path[first] == '.') {
    for (char& letter : path) {
      if (letter == '.' || letter == '/') letter = letter == '.' ? '/' : '.';
    }
  }
  const std::vector<std::string> parts = split(path, '/');
  const bool plain =
      parts.size() > 1 && std::all_of(parts.begin(), parts.end(), [](const std::string& part) {
        return !part.empty() && part != "." && part != ".." && part.find('\0') == std::string::npos;
      });
  if (!plain) return fail(Code::InvalidArgument, fmt::format("{}: not a sysctl name", key));
  return path;
}

int write_sysctl(const char* path, const char* value, std::size_t length) noexcept {
  const Fd base(::open("/proc/sys", O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  struct statfs info {};
  if (!base || ::fstatfs(base.get(), &info) != 0) return errno;
  if (info.f_type != PROC_SUPER_MAGIC) return EXDEV;
  open_how how{};
  how.flags = O_WRONLY | O_CLOEXEC;
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_XDEV;
  const Fd file(static_cast<int>(::syscall(SYS_openat2, base.get(), path, &how, sizeof how)));
  if (!file) return errno;
  return ::write(file.get(), value, length) < 0 ? errno : 0;
}

}  // namespace berth::sys
