// Words that people type: sizes, durations, lists, names.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"

namespace berth {

std::vector<std::string> split(std::string_view text, char separator);  // "a,,b" has three parts; "" has none
std::string join(const std::vector<std::string>& parts, std::string_view separator);
std::string_view trim(std::string_view text);
std::string lower(std::string_view text);

// A whole number, all of `text`, in base 10 (or `base`).
std::optional<std::uint64_t> parse_u64(std::string_view text, int base = 10);
std::optional<std::int64_t> parse_i64(std::string_view text);
std::optional<double> parse_double(std::string_view text);

// Bytes: "512", "64k", "1.5g", "2GiB"; powers of 1024, as Docker and Podman read them.
Result<std::uint64_t> parse_size(std::string_view text);
// "1.5 MiB", three digits at most.
std::string format_size(std::uint64_t bytes);

// "10", "1.5s", "500ms", "2m", "1h30m"; a bare number is seconds.
Result<std::chrono::milliseconds> parse_duration(std::string_view text);
// "5 seconds", "3 hours": the largest whole unit.
std::string format_age(std::chrono::seconds age);

// Processor lists of the kernel: "0-3,6"; sorted, without repeats. Numbers above 8191 are refused.
Result<std::vector<unsigned>> parse_cpu_list(std::string_view text);

// Time as RFC 3339 with nanoseconds in UTC: "2026-01-02T03:04:05.000000006Z".
std::string format_rfc3339(std::chrono::system_clock::time_point when);
Result<std::chrono::system_clock::time_point> parse_rfc3339(std::string_view text);

std::string to_hex(std::string_view bytes);
// `digits` random lower-case hex digits from the kernel's generator.
std::string random_hex(std::size_t digits);
// Standard alphabet with padding (RFC 4648, section 4).
std::string base64_encode(std::string_view bytes);
Result<std::string> base64_decode(std::string_view text);

}  // namespace berth
