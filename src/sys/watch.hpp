// Waiting until something below a directory changes, by inotify(7).
#pragma once

#include <string>

#include "base/result.hpp"
#include "sys/fd.hpp"

namespace berth::sys {

class DirWatch {
 public:
  // Sees files of `directory` (not below it) being written to, made, renamed and removed.
  static Result<DirWatch> open(const std::string& directory);
  int fd() const { return fd_.get(); }  // readable once something changed
  void clear();                         // forgets what changed so far

 private:
  explicit DirWatch(Fd fd) : fd_(std::move(fd)) {}
  Fd fd_;
};

}  // namespace berth::sys
