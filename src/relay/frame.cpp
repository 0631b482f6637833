#include "relay/frame.hpp"

#include <fmt/core.h>

#include <cstring>

#include "base/text.hpp"

namespace berth::relay {
namespace {

struct Header {
  std::uint32_t bytes;
  std::uint8_t kind, stream;
  std::uint16_t zero;
};
static_assert(sizeof(Header) == 8);

bool is_sound(const Header& header) {
  return header.kind >= static_cast<std::uint8_t>(Kind::Hello) &&
         header.kind <= static_cast<std::uint8_t>(kLastKind) && header.stream < kStreams &&
         header.zero == 0 && header.bytes <= kMaxFrameBytes;
}

}  // namespace

std::string encode(Kind kind, std::string_view payload, std::uint8_t stream) {
  BERTH_ASSERT(payload.size() <= kMaxFrameBytes && stream < kStreams);
  const Header header{static_cast<std::uint32_t>(payload.size()), static_cast<std::uint8_t>(kind), stream, 0};
  std::string bytes(sizeof header, '\0');
  std::memcpy(bytes.data(), &header, sizeof header);
  return bytes.append(payload);
}

std::string encode_error(const Error& error) {
  return fmt::format("{} {} {}", static_cast<int>(error.code), error.sys_errno, error.message);
}

Error decode_error(std::string_view payload) {
  const auto first = std::min(payload.find(' '), payload.size());
  const auto second = std::min(payload.find(' ', first + 1), payload.size());
  const auto code = parse_i64(payload.substr(0, first));
  const auto number =
      first < second ? parse_i64(payload.substr(first + 1, second - first - 1)) : std::nullopt;
  const bool known = code && number && *code >= static_cast<int>(Code::Cancelled) &&
                     *code <= static_cast<int>(Code::Unauthenticated);
  if (!known) return {Code::Internal, 0, "the other side sent an unreadable error"};
  return {static_cast<Code>(*code), static_cast<int>(*number),
          std::string(payload.substr(std::min(second + 1, payload.size())))};
}

Result<std::optional<Frame>> FrameReader::next() {
  const std::string_view rest = std::string_view(buffer_).substr(start_);
  Header header{};
  if (rest.size() < sizeof header) {
    buffer_.erase(0, std::exchange(start_, 0));
    return std::optional<Frame>{};
  }
  std::memcpy(&header, rest.data(), sizeof header);
  if (!is_sound(header))
    return fail(Code::InvalidArgument, "the other side of the machine sends no sound frames");
  if (rest.size() - sizeof header < header.bytes) {
    buffer_.erase(0, std::exchange(start_, 0));
    return std::optional<Frame>{};
  }
  start_ += sizeof header + header.bytes;
  return std::optional(Frame{static_cast<Kind>(header.kind), header.stream,
                             std::string(rest.substr(sizeof header, header.bytes))});
}

}  // namespace berth::relay
