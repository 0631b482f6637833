// Being told when a control group runs out of memory.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/result.hpp"
#include "sys/cgroup.hpp"
#include "sys/fd.hpp"

namespace berth::sys {

// Sources: the kernel's admin-guide/cgroup-v1/memory ("OOM Control": an eventfd(2) registered in
// cgroup.event_control) and cgroup-v2 (poll(2) on memory.events).
class OomWatch {
 public:
  // Nothing where the group has no memory controller.
  static Result<std::optional<OomWatch>> open(const Cgroup& group);

  // For poll(2), and what to wait for.
  int fd() const { return notice_ ? notice_.get() : counts_.get(); }
  short events() const;
  // To be asked when the descriptor is ready, which it then is no longer: whether memory ran out (also where
  // nobody was killed for it) since the last time.
  Result<bool> happened();

 private:
  OomWatch(Fd notice, Fd counts, std::string path)
      : notice_(std::move(notice)), counts_(std::move(counts)), path_(std::move(path)) {}
  Result<std::uint64_t> read_kills();

  Fd notice_;  // version 1: the eventfd
  Fd counts_;  // memory.oom_control, or memory.events
  std::string path_;
  std::uint64_t kills_ = 0;
};

}  // namespace berth::sys
