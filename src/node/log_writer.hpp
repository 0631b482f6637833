// An instance's log file: CRI lines, rotated by size, a bounded number of files.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.hpp"
#include "node/log_line.hpp"
#include "sys/fd.hpp"

namespace berth::node {

struct LogLimits {
  std::uint64_t max_bytes = 16 << 20;  // of one file
  unsigned max_files = 3;              // the current one included
};

// `path` is the newest file, `path`.1 the one before, and so on.
class LogWriter {
 public:
  static Result<LogWriter> open(const std::string& path, const LogLimits& limits);
  // One write(2) for all of `bytes`, stamped with the present time. An entry is never split over two files.
  Result<void> write(Stream stream, std::string_view bytes);

 private:
  LogWriter(std::string path, const LogLimits& limits) : path_(std::move(path)), limits_(limits) {}
  Result<void> reopen();
  Result<void> rotate();
  std::string path_;
  LogLimits limits_;
  sys::Fd fd_;
  std::uint64_t size_ = 0;
};

}  // namespace berth::node
