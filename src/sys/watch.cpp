#include "sys/watch.hpp"

#include <fmt/core.h>
#include <sys/inotify.h>
#include <unistd.h>

#include <array>

namespace berth::sys {

Result<DirWatch> DirWatch::open(const std::string& directory) {
  Fd fd(::inotify_init1(IN_CLOEXEC | IN_NONBLOCK));
  if (!fd) return fail_errno("cannot watch files");
  constexpr std::uint32_t kChanges = IN_MODIFY | IN_CREATE | IN_MOVED_TO | IN_DELETE | IN_DELETE_SELF;
  if (::inotify_add_watch(fd.get(), directory.c_str(), kChanges) < 0) {
    return fail_errno(fmt::format("cannot watch {}", directory));
  }
  return DirWatch(std::move(fd));
}

void DirWatch::clear() {
  std::array<char, 4096> events;
  while (::read(fd_.get(), events.data(), events.size()) > 0) {
  }
}

}  // namespace berth::sys
