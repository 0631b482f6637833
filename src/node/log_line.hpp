// The lines of a log file, in the form that Kubernetes' CRI gives them:
//   2026-01-02T03:04:05.000000006Z stdout F a whole line
// P in place of F marks a part of a line, whose rest follows in the same stream's next entry.
// Source: kubernetes design-proposals, "CRI: Dockershim log format"; cri-api's logging.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace berth::node {

enum class Stream { Stdout, Stderr };
std::string_view stream_name(Stream stream);

// Longer pieces of a line are cut into several parts.
inline constexpr std::size_t kMaxLogPart = 16 << 10;

// Appends to `out` the entries of `bytes`, which a workload wrote at `timestamp`. What follows the last
// newline becomes a part, so nothing is ever kept back and an endless line costs no memory.
void append_log_entries(std::string& out, std::string_view timestamp, Stream stream, std::string_view bytes);

// Views into the line that they were read from.
struct LogEntry {
  std::string_view timestamp;
  Stream stream = Stream::Stdout;
  bool partial = false;
  std::string_view content;  // without the newline
};

// Nothing where `line` is no entry, as after a torn write.
std::optional<LogEntry> parse_log_entry(std::string_view line);

}  // namespace berth::node
