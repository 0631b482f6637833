// Leveled messages to standard error, as text or as one JSON object a line.
#pragma once

#include <fmt/core.h>

#include <string_view>
#include <utility>

#include "base/result.hpp"

namespace berth::log {

enum class Level { Debug, Info, Warn, Error };
enum class Format { Text, Json };

// "debug", "info", "warn" or "error".
Result<Level> parse_level(std::string_view text);

// Process-wide; call before other threads start. `program` prefixes each text line ("berth: warn: ...").
void configure(std::string_view program, Level level, Format format = Format::Text);
// Messages go to this descriptor instead of standard error; it stays the caller's.
void write_to(int fd);
bool enabled(Level level);
void write(Level level, std::string_view message);

template <typename... Args>
void debug(fmt::format_string<Args...> format, Args&&... args) {
  if (enabled(Level::Debug)) write(Level::Debug, fmt::format(format, std::forward<Args>(args)...));
}
template <typename... Args>
void info(fmt::format_string<Args...> format, Args&&... args) {
  if (enabled(Level::Info)) write(Level::Info, fmt::format(format, std::forward<Args>(args)...));
}
template <typename... Args>
void warn(fmt::format_string<Args...> format, Args&&... args) {
  if (enabled(Level::Warn)) write(Level::Warn, fmt::format(format, std::forward<Args>(args)...));
}
template <typename... Args>
void error(fmt::format_string<Args...> format, Args&&... args) {
  write(Level::Error, fmt::format(format, std::forward<Args>(args)...));
}

}  // namespace berth::log
