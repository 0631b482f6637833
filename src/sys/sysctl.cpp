#include "sys/sysctl.hpp"

#include <fmt/core.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <climits>
#include <cstring>

#include "base/text.hpp"
#include "sys/fd.hpp"
#include "sys/procfs.hpp"

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
  int fd = -1;
  std::array<char, PATH_MAX> name{'s', 'y', 's', '/'};
  const std::size_t path_length = std::strlen(path);
  if (path_length + 5 > name.size()) return ENAMETOOLONG;
  std::memcpy(name.data() + 4, path, path_length);
  if (const int error = open_proc_file(name.data(), O_WRONLY, &fd); error != 0) return error;
  const Fd file(fd);
  return ::write(fd, value, length) < 0 ? errno : 0;
}

}  // namespace berth::sys
