#include "base/log.hpp"

#include <unistd.h>

#include <array>
#include <string>

#include "base/json_value.hpp"
#include "base/text.hpp"

namespace berth::log {
namespace {

struct State {
  std::string program = "berth";
  Level level = Level::Warn;
  Format format = Format::Text;
  int fd = STDERR_FILENO;
};

State& state() {
  static State instance;
  return instance;
}

constexpr std::array<std::string_view, 4> kNames = {"debug", "info", "warn", "error"};

std::string render(Level level, std::string_view message) {
  const auto name = kNames[static_cast<std::size_t>(level)];
  if (state().format == Format::Json) {
    const std::string time = format_rfc3339(std::chrono::system_clock::now());
    return Json{{"level", name}, {"program", state().program}, {"msg", message}, {"time", time}}.dump(
               -1, ' ', false, Json::error_handler_t::replace) +
           "\n";
  }
  return fmt::format("{}: {}: {}\n", state().program, name, message);
}

}  // namespace

Result<Level> parse_level(std::string_view text) {
  for (std::size_t i = 0; i < kNames.size(); ++i) {
    if (kNames[i] == text) return static_cast<Level>(i);
  }
  return fail(Code::InvalidArgument, fmt::format("log level {}: use debug, info, warn or error", text));
}

void configure(std::string_view program, Level level, Format format) {
  state() = State{std::string(program), level, format, state().fd};
}

void write_to(int fd) { state().fd = fd; }

bool enabled(Level level) { return level >= state().level; }

void write(Level level, std::string_view message) {
  if (!enabled(level)) return;
  const std::string line = render(level, message);
  // A full or closed standard error must not stop the work that is being reported on.
  [[maybe_unused]] const ssize_t written = ::write(state().fd, line.data(), line.size());
}

}  // namespace berth::log
