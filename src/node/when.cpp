#include "node/when.hpp"

#include <fmt/core.h>

#include "base/text.hpp"

namespace berth::node {

Result<std::chrono::system_clock::time_point> parse_when(const std::string& text) {
  using std::chrono::system_clock;
  constexpr std::size_t kEpochDigits = 9;  // from 1973 on; shorter numbers are seconds ago
  const auto number = parse_u64(text);
  if (number && text.size() >= kEpochDigits) return system_clock::time_point(std::chrono::seconds(*number));
  if (const auto when = parse_rfc3339(text)) return *when;
  if (const auto ago = parse_duration(text)) return system_clock::now() - *ago;
  return fail(
      Code::InvalidArgument,
      fmt::format("{}: neither a time such as 2026-01-02T03:04:05Z nor how long ago, such as 10m", text));
}

}  // namespace berth::node
