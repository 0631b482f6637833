#include "sys/oom_watch.hpp"

#include <fmt/core.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <utility>

#include "sys/cgroup_dir.hpp"

namespace berth::sys {

Result<std::optional<OomWatch>> OomWatch::open(const Cgroup& group) {
  const char* name = group.is_v2() ? "/memory.events" : "/memory.oom_control";
  const auto directories = group.directories();
  const auto memory = std::find_if(directories.begin(), directories.end(),
                                   [&](const std::string& directory) { return exists(directory + name); });
  if (memory == directories.end()) return std::optional<OomWatch>();
  Fd counts = TRY(sys::open(*memory + name, O_RDONLY));
  Fd notice;
  if (!group.is_v2()) {
    notice = Fd(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    if (!notice) return fail_errno("cannot watch for a lack of memory");
    TRY(write_file(*memory + "/cgroup.event_control", fmt::format("{} {}", notice.get(), counts.get())));
  }
  OomWatch watch(std::move(notice), std::move(counts), *memory + name);
  watch.kills_ = TRY(watch.read_kills());
  return std::optional<OomWatch>(std::move(watch));
}

short OomWatch::events() const { return notice_ ? POLLIN : POLLPRI; }

Result<std::uint64_t> OomWatch::read_kills() {
  std::array<char, 4096> text{};
  const ssize_t count = ::pread(counts_.get(), text.data(), text.size(), 0);
  // The group was removed, and the watch with it.
  if (count < 0 && errno == ENODEV) return kills_;
  if (count < 0) return fail_errno("cannot read how often memory ran out");
  return flat_value({text.data(), static_cast<std::size_t>(count)}, "oom_kill").value_or(0);
}

Result<bool> OomWatch::happened() {
  const std::uint64_t before = std::exchange(kills_, TRY(read_kills()));
  if (!notice_) return kills_ > before;
  std::uint64_t notices = 0;
  const bool noticed = ::read(notice_.get(), &notices, sizeof notices) == sizeof notices;
  return noticed && exists(path_);  // a group's removal is noticed as well
}

}  // namespace berth::sys
