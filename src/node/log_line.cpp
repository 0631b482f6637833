#include "node/log_line.hpp"

#include <algorithm>

namespace berth::node {
namespace {

void append_entry(std::string& out, std::string_view timestamp, Stream stream, char tag,
                  std::string_view content) {
  out.append(timestamp)
      .append(1, ' ')
      .append(stream_name(stream))
      .append(1, ' ')
      .append(1, tag)
      .append(1, ' ');
  out.append(content).append(1, '\n');
}

// Cuts the text up to the next blank off `rest`.
std::string_view take_word(std::string_view& rest) {
  const auto end = std::min(rest.find(' '), rest.size());
  const auto word = rest.substr(0, end);
  rest.remove_prefix(std::min(end + 1, rest.size()));
  return word;
}

}  // namespace

std::string_view stream_name(Stream stream) { return stream == Stream::Stdout ? "stdout" : "stderr"; }

void append_log_entries(std::string& out, std::string_view timestamp, Stream stream, std::string_view bytes) {
  while (!bytes.empty()) {
    const auto newline = bytes.find('\n');
    const bool whole = newline <= kMaxLogPart;
    const auto size = whole ? newline : std::min(bytes.size(), kMaxLogPart);
    append_entry(out, timestamp, stream, whole ? 'F' : 'P', bytes.substr(0, size));
    bytes.remove_prefix(whole ? size + 1 : size);
  }
}

std::optional<LogEntry> parse_log_entry(std::string_view line) {
  LogEntry entry;
  entry.timestamp = take_word(line);
  const auto stream = take_word(line);
  if (stream != "stdout" && stream != "stderr") return std::nullopt;
  entry.stream = stream == "stdout" ? Stream::Stdout : Stream::Stderr;
  const auto tag = take_word(line);
  if (tag != "F" && tag != "P") return std::nullopt;
  entry.partial = tag == "P";
  entry.content = line;
  return entry;
}

}  // namespace berth::node
