// Reading an instance's log while its monitor may be writing and rotating it.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "base/result.hpp"
#include "node/log_line.hpp"
#include "sys/fd.hpp"

namespace berth::node {

using LogSink = std::function<Result<void>(const LogEntry& entry)>;

// A place in a log: the file it is in and how much of it has been read.
class LogReader {
 public:
  // Stands before the oldest entry. A log that does not exist yet is an empty one.
  explicit LogReader(std::string path) : path_(std::move(path)) {}

  // Gives every entry that is there and was not given yet, oldest first.
  Result<void> read(const LogSink& sink);

 private:
  Result<bool> next_file();
  Result<void> read_file(const LogSink& sink);
  std::string path_;
  sys::Fd file_;
  std::string unfinished_;  // of an entry whose newline is not there yet
};

struct LogQuery {
  std::optional<std::uint64_t> tail;  // only the last lines
  std::string since;                  // RFC 3339 in UTC with nine digits, as in the log; "" for no bound
  std::string until;
};

// Reads once what `query` asks for; the position after it, for following.
Result<LogReader> read_log(const std::string& path, const LogQuery& query, const LogSink& sink);

}  // namespace berth::node
