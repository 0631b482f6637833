#include "node/log_reader.hpp"

#include <fmt/core.h>

#include <vector>

namespace berth::node {
namespace {

constexpr std::size_t kChunkBytes = 64 << 10;
constexpr unsigned kMaxFiles = 1000;

std::string numbered(const std::string& path, unsigned i) {
  return i == 0 ? path : fmt::format("{}.{}", path, i);
}

bool same_file(int fd, const std::string& path) {
  struct stat ours {};
  struct stat theirs {};
  return ::fstat(fd, &ours) == 0 && ::stat(path.c_str(), &theirs) == 0 && ours.st_ino == theirs.st_ino &&
         ours.st_dev == theirs.st_dev;
}

// The number of the oldest file of the log; nothing where there is none.
std::optional<unsigned> oldest(const std::string& path) {
  std::optional<unsigned> found;
  for (unsigned i = 0; i < kMaxFiles && sys::exists(numbered(path, i)); ++i) found = i;
  return found;
}

bool within(const LogQuery& query, std::string_view timestamp) {
  return (query.since.empty() || timestamp >= query.since) &&
         (query.until.empty() || timestamp <= query.until);
}

}  // namespace

// Goes on to the file that followed the present one, wherever rotation has moved either by now.
Result<bool> LogReader::next_file() {
  const auto last = oldest(path_);
  if (!last) return false;
  unsigned next = *last;
  if (file_) {
    unsigned present = 0;
    while (present <= *last && !same_file(file_.get(), numbered(path_, present))) ++present;
    if (present == 0) return false;            // still the newest
    if (present <= *last) next = present - 1;  // otherwise rotated away: the oldest that is left
  }
  auto opened = sys::open(numbered(path_, next), O_RDONLY);
  if (!opened && opened.error().code == Code::NotFound)
    return false;  // being rotated right now: the next read finds it
  file_ = TRY(std::move(opened));
  unfinished_.clear();
  return true;
}

Result<void> LogReader::read_file(const LogSink& sink) {
  std::vector<char> chunk(kChunkBytes);
  while (const std::size_t count = TRY(sys::read_some(file_.get(), chunk))) {
    unfinished_.append(chunk.data(), count);
    std::size_t start = 0;
    for (auto end = unfinished_.find('\n'); end != std::string::npos; end = unfinished_.find('\n', start)) {
      if (const auto entry = parse_log_entry(std::string_view(unfinished_).substr(start, end - start)))
        TRY(sink(*entry));
      start = end + 1;
    }
    unfinished_.erase(0, start);
  }
  return {};
}

Result<void> LogReader::read(const LogSink& sink) {
  if (!file_ && !TRY(next_file())) return {};
  do {
    TRY(read_file(sink));
  } while (TRY(next_file()));
  return {};
}

Result<LogReader> read_log(const std::string& path, const LogQuery& query, const LogSink& sink) {
  std::uint64_t skip = 0;
  if (query.tail) {
    std::uint64_t lines = 0;
    bool open_line = false;
    LogReader counter(path);
    TRY(counter.read([&](const LogEntry& entry) -> Result<void> {
      if (!within(query, entry.timestamp)) return {};
      if (!entry.partial) ++lines;
      open_line = entry.partial;
      return {};
    }));
    if (open_line) ++lines;
    skip = lines > *query.tail ? lines - *query.tail : 0;
  }
  LogReader reader(path);
  TRY(reader.read([&](const LogEntry& entry) -> Result<void> {
    if (!within(query, entry.timestamp)) return {};
    if (skip == 0) return sink(entry);
    if (!entry.partial) --skip;
    return {};
  }));
  return reader;
}

}  // namespace berth::node
