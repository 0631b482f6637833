// One group's directory in one hierarchy, and the settings and figures in its files.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "sys/cgroup.hpp"
#include "sys/fd.hpp"

namespace berth::sys {

// Owns the directory's descriptor, not the directory: it lives on until remove_group().
class CgroupDir {
 public:
  // Makes `base`/`path` and what is missing above it. `path` has no "..".
  static Result<CgroupDir> make(const std::string& base, const std::string& path);
  // Nothing where there is none.
  static Result<std::optional<CgroupDir>> open(const std::string& base, const std::string& path);

  const std::string& path() const { return path_; }
  int fd() const { return fd_.get(); }
  bool has(const std::string& file) const;
  Result<Fd> open_to_write(const std::string& file) const;
  // One write(2), as these files want it.
  Result<void> write(const std::string& file, std::string_view value) const;
  // write() whose error begins with the option and says in which words the kernel refused.
  Result<void> set(const CgroupSetting& setting) const;
  Result<std::string> read(const std::string& file) const;
  // A file of one number; nothing for "max".
  Result<std::optional<std::uint64_t>> read_number(const std::string& file) const;
  Result<void> attach(pid_t pid) const;
  // The directory and those of `files` that it has become a user's.
  Result<void> give_to(uid_t uid, gid_t gid, const std::vector<std::string>& files) const;
  // Processes in it and in the groups below, in no order.
  Result<std::vector<pid_t>> pids() const;

 private:
  CgroupDir(Fd fd, std::string path) : fd_(std::move(fd)), path_(std::move(path)) {}
  Fd fd_;  // O_PATH
  std::string path_;
};

// Removes a group and those below it, children first; false where processes are left. Absent is fine.
Result<bool> try_remove_group(const std::string& path);

// The same, and waits. A group whose last process is just going is retried for
// up to 1 s; then FailedPrecondition. Absent is fine.
Result<void> remove_group(const std::string& path);

// Writes to `file` of a group and of all groups below it, leaving out those that go away meanwhile.
Result<void> write_below(const std::string& path, const std::string& file, std::string_view value);

std::string join_pids(const std::vector<pid_t>& pids);  // "12, 15"

// The value that stands behind `key` in a file of "key value" lines, such as memory.stat.
std::optional<std::uint64_t> flat_value(std::string_view text, std::string_view key);

// Sleeps in growing steps until `done` says so (its errors end it); false after `timeout_ms`.
template <typename Done>
Result<bool> wait_until(int timeout_ms, Done done);

void sleep_us(std::uint64_t microseconds);

template <typename Done>
Result<bool> wait_until(int timeout_ms, Done done) {
  std::uint64_t step_us = 100;
  for (std::uint64_t waited_us = 0; waited_us <= static_cast<std::uint64_t>(timeout_ms) * 1000;
       waited_us += step_us) {
    if (waited_us > 0 && step_us < 10000) step_us *= 2;
    if (TRY(done())) return true;
    sleep_us(step_us);
  }
  return false;
}

}  // namespace berth::sys
