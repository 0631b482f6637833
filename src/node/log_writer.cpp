#include "node/log_writer.hpp"

#include <fmt/core.h>
#include <stdio.h>
#include <unistd.h>

#include <chrono>

#include "base/text.hpp"

namespace berth::node {

Result<LogWriter> LogWriter::open(const std::string& path, const LogLimits& limits) {
  LogWriter writer(path, limits);
  TRY(writer.reopen());
  return writer;
}

Result<void> LogWriter::reopen() {
  fd_ = TRY(sys::open(path_, O_RDWR | O_CREAT | O_APPEND, 0640));
  struct stat info {};
  if (::fstat(fd_.get(), &info) != 0) return fail_errno(fmt::format("cannot stat {}", path_));
  size_ = static_cast<std::uint64_t>(info.st_size);
  char last = '\n';
  if (size_ > 0 && ::pread(fd_.get(), &last, 1, info.st_size - 1) == 1 && last != '\n') {
    TRY(sys::write_all(fd_.get(),
                       "\n"));  // a writer died amid an entry: what comes now stands on a line of its own
    ++size_;
  }
  return {};
}

Result<void> LogWriter::rotate() {
  for (unsigned i = limits_.max_files - 1; i > 0; --i) {
    const std::string older = fmt::format("{}.{}", path_, i);
    const std::string newer = i == 1 ? path_ : fmt::format("{}.{}", path_, i - 1);
    if (::rename(newer.c_str(), older.c_str()) != 0 && errno != ENOENT) {
      return fail_errno(fmt::format("cannot rotate {}", newer));
    }
  }
  if (limits_.max_files <= 1 && ::remove(path_.c_str()) != 0 && errno != ENOENT) {
    return fail_errno(fmt::format("cannot rotate {}", path_));
  }
  return reopen();
}

Result<void> LogWriter::write(Stream stream, std::string_view bytes) {
  std::string entries;
  append_log_entries(entries, format_rfc3339(std::chrono::system_clock::now()), stream, bytes);
  if (size_ > 0 && size_ + entries.size() > limits_.max_bytes) TRY(rotate());
  TRY(sys::write_all(fd_.get(), entries));
  size_ += entries.size();
  return {};
}

}  // namespace berth::node
