#include "base/text.hpp"

#include <fmt/core.h>
#include <sys/random.h>
#include <time.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <cstdlib>

namespace berth {

std::vector<std::string> split(std::string_view text, char separator) {
  std::vector<std::string> parts;
  if (text.empty()) return parts;
  for (;;) {
    const auto end = text.find(separator);
    parts.emplace_back(text.substr(0, end));
    if (end == std::string_view::npos) return parts;
    text.remove_prefix(end + 1);
  }
}

std::string join(const std::vector<std::string>& parts, std::string_view separator) {
  std::string joined;
  for (const auto& part : parts) {
    if (!joined.empty() || &part != &parts.front()) joined += separator;
    joined += part;
  }
  return joined;
}

std::string_view trim(std::string_view text) {
  constexpr std::string_view kBlank = " \t\r\n";
  const auto first = text.find_first_not_of(kBlank);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kBlank) - first + 1);
}

std::string lower(std::string_view text) {
  std::string result(text);
  for (char& c : result) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return result;
}

namespace {
template <typename T, typename... Base>
std::optional<T> parse_whole(std::string_view text, Base... base) {
  T value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, base...);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}
}  // namespace

std::optional<std::uint64_t> parse_u64(std::string_view text, int base) {
  return parse_whole<std::uint64_t>(text, base);
}
std::optional<std::int64_t> parse_i64(std::string_view text) { return parse_whole<std::int64_t>(text, 10); }
std::optional<double> parse_double(std::string_view text) {
  const auto value = parse_whole<double>(text);
  return value && std::isfinite(*value) ? value : std::nullopt;
}

Result<std::uint64_t> parse_size(std::string_view text) {
  const auto bad = [text] {
    return fail(Code::InvalidArgument,
                fmt::format("size \"{}\": use a number with an optional k, m, g or t, as in 512m", text));
  };
  const auto digits = std::min(text.find_first_not_of("0123456789."), text.size());
  std::string suffix = lower(text.substr(digits));
  if (suffix.ends_with("ib"))
    suffix.resize(suffix.size() - 2);
  else if (suffix.ends_with("b"))
    suffix.resize(suffix.size() - 1);
  constexpr std::string_view kScale = "kmgtp";
  int shift = 0;
  if (suffix.size() > 1) return bad();
  if (suffix.size() == 1) {
    const auto at = kScale.find(suffix[0]);
    if (at == std::string_view::npos) return bad();
    shift = 10 * static_cast<int>(at + 1);
  }
  const std::string_view number = text.substr(0, digits);
  if (const auto whole = parse_u64(number)) {
    if (*whole > (UINT64_MAX >> shift)) return bad();
    return *whole << shift;
  }
  const auto fraction = parse_double(number);
  const double scaled = fraction ? std::ldexp(*fraction, shift) : -1;
  if (scaled < 0 || scaled >= 0x1p63) return bad();
  return static_cast<std::uint64_t>(scaled);
}

std::string format_size(std::uint64_t bytes) {
  constexpr std::array<std::string_view, 6> kUnits = {"B", "KiB", "MiB", "GiB", "TiB", "PiB"};
  double value = static_cast<double>(bytes);
  std::size_t unit = 0;
  while (value >= 999.5 && unit + 1 < kUnits.size()) {
    value /= 1024;
    ++unit;
  }
  if (unit == 0) return fmt::format("{} B", bytes);
  const int decimals = value < 9.995 ? 2 : value < 99.95 ? 1 : 0;
  return fmt::format("{:.{}f} {}", value, decimals, kUnits[unit]);
}

Result<std::chrono::milliseconds> parse_duration(std::string_view text) {
  const auto bad = [text] {
    return fail(Code::InvalidArgument,
                fmt::format("duration \"{}\": use a number with ms, s, m or h, as in 1m30s", text));
  };
  constexpr double kMost = 1e15;
  if (const auto seconds = parse_double(text)) {
    if (*seconds < 0 || *seconds * 1000 > kMost) return bad();
    return std::chrono::milliseconds(std::llround(*seconds * 1000));
  }
  double total_ms = 0;
  std::string_view rest = text;
  if (rest.empty()) return bad();
  while (!rest.empty()) {
    const auto digits = std::min(rest.find_first_not_of("0123456789."), rest.size());
    const auto number = parse_double(rest.substr(0, digits));
    rest.remove_prefix(digits);
    const auto letters = std::min(rest.find_first_of("0123456789."), rest.size());
    const std::string_view unit = rest.substr(0, letters);
    rest.remove_prefix(letters);
    const double scale = unit == "ms" ? 1 : unit == "s" ? 1e3 : unit == "m" ? 6e4 : unit == "h" ? 3.6e6 : 0;
    if (!number || *number < 0 || scale == 0) return bad();
    total_ms += *number * scale;
  }
  if (total_ms > kMost) return bad();
  return std::chrono::milliseconds(std::llround(total_ms));
}

std::string format_age(std::chrono::seconds age) {
  struct Unit {
    std::int64_t seconds;
    std::string_view name;
  };
  constexpr std::array<Unit, 6> kUnits = {{{31536000, "year"},
                                           {2592000, "month"},
                                           {86400, "day"},
                                           {3600, "hour"},
                                           {60, "minute"},
                                           {1, "second"}}};
  const std::int64_t seconds = std::max<std::int64_t>(age.count(), 0);
  for (const Unit& unit : kUnits) {
    const std::int64_t count = seconds / unit.seconds;
    if (count > 0) return fmt::format("{} {}{}", count, unit.name, count == 1 ? "" : "s");
  }
  return "0 seconds";
}

Result<std::vector<unsigned>> parse_cpu_list(std::string_view text) {
  constexpr std::uint64_t kMost = 8191;
  const auto bad = [text] {
    return fail(Code::InvalidArgument,
                fmt::format("processor list \"{}\": use numbers and ranges, as in 0-3,6", text));
  };
  std::vector<unsigned> cpus;
  if (trim(text).empty()) return bad();
  for (const std::string& part : split(trim(text), ',')) {
    const auto dash = part.find('-');
    const auto first = parse_u64(std::string_view(part).substr(0, dash));
    const auto last = dash == std::string::npos ? first : parse_u64(std::string_view(part).substr(dash + 1));
    if (!first || !last || *first > *last || *last > kMost) return bad();
    for (auto cpu = *first; cpu <= *last; ++cpu) cpus.push_back(static_cast<unsigned>(cpu));
  }
  std::sort(cpus.begin(), cpus.end());
  cpus.erase(std::unique(cpus.begin(), cpus.end()), cpus.end());
  return cpus;
}

std::string format_rfc3339(std::chrono::system_clock::time_point when) {
  const auto since = std::chrono::duration_cast<std::chrono::nanoseconds>(when.time_since_epoch()).count();
  const time_t seconds = since / 1000000000;
  tm parts{};
  gmtime_r(&seconds, &parts);
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:09}Z", parts.tm_year + 1900, parts.tm_mon + 1,
                     parts.tm_mday, parts.tm_hour, parts.tm_min, parts.tm_sec, since % 1000000000);
}

Result<std::chrono::system_clock::time_point> parse_rfc3339(std::string_view text) {
  const auto bad = [text] {
    return fail(Code::InvalidArgument,
                fmt::format("time \"{}\": use RFC 3339, as in 2026-01-02T03:04:05Z", text));
  };
  tm parts{};
  const std::string copy(text);
  const char* rest = ::strptime(copy.c_str(), "%Y-%m-%dT%H:%M:%S", &parts);
  if (rest == nullptr) return bad();
  std::int64_t nanoseconds = 0;
  if (*rest == '.') {
    std::int64_t scale = 100000000;
    for (++rest; *rest >= '0' && *rest <= '9'; ++rest, scale /= 10) nanoseconds += (*rest - '0') * scale;
  }
  std::int64_t offset = 0;
  if (*rest == '+' || *rest == '-') {
    const std::string_view zone(rest + 1);
    const auto hours = parse_u64(zone.substr(0, 2));
    const auto minutes = zone.size() == 5 ? parse_u64(zone.substr(3, 2)) : std::nullopt;
    if (!hours || !minutes || zone[2] != ':') return bad();
    offset = static_cast<std::int64_t>(*hours * 3600 + *minutes * 60) * (*rest == '-' ? -1 : 1);
  } else if (lower(rest) != "z") {
    return bad();
  }
  const std::int64_t seconds = ::timegm(&parts) - offset;
  return std::chrono::system_clock::time_point(std::chrono::seconds(seconds) +
                                               std::chrono::nanoseconds(nanoseconds));
}

std::string to_hex(std::string_view bytes) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string hex;
  hex.reserve(bytes.size() * 2);
  for (const char c : bytes) {
    const auto byte = static_cast<unsigned char>(c);
    hex += kDigits[byte >> 4];
    hex += kDigits[byte & 15];
  }
  return hex;
}

std::string random_hex(std::size_t digits) {
  std::string bytes((digits + 1) / 2, '\0');
  BERTH_ASSERT(::getrandom(bytes.data(), bytes.size(), 0) == static_cast<ssize_t>(bytes.size()));
  return to_hex(bytes).substr(0, digits);
}

namespace {
constexpr std::string_view kBase64 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
}

std::string base64_encode(std::string_view bytes) {
  std::string text;
  for (std::size_t i = 0; i < bytes.size(); i += 3) {
    unsigned group = 0;
    const std::size_t count = std::min<std::size_t>(3, bytes.size() - i);
    for (std::size_t j = 0; j < 3; ++j) {
      group = group << 8 | (j < count ? static_cast<unsigned char>(bytes[i + j]) : 0U);
    }
    for (std::size_t j = 0; j < 4; ++j) text += j <= count ? kBase64[group >> (18 - 6 * j) & 63] : '=';
  }
  return text;
}

Result<std::string> base64_decode(std::string_view text) {
  const auto bad = [] { return fail(Code::InvalidArgument, "not valid base64"); };
  while (text.ends_with('=')) text.remove_suffix(1);
  if (text.size() % 4 == 1) return bad();
  std::string bytes;
  unsigned group = 0;
  unsigned bits = 0;
  for (const char c : text) {
    const auto value = kBase64.find(c);
    if (value == std::string_view::npos) return bad();
    group = group << 6 | static_cast<unsigned>(value);
    bits += 6;
    if (bits >= 8) {
      bits -= 8;
      bytes += static_cast<char>(group >> bits & 255);
    }
  }
  return bytes;
}

}  // namespace berth
