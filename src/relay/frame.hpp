// One message of a connection, and how it lies in the byte stream.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.hpp"

namespace berth::relay {

inline constexpr std::uint32_t kVersion = 1;
inline constexpr std::uint32_t kPort = 1024;  // on either side
inline constexpr std::size_t kMaxFrameBytes = std::size_t{8} << 20;
inline constexpr std::size_t kWindowBytes = 64 << 10;

enum class Kind : std::uint8_t {
  Hello = 1,  // the version, in decimal
  Start,      // JSON: a UnitConfig, see guest_init
  Exec,       // JSON: an ExecConfig
  Started,
  Failed,  // "code errno message", as encode_error() has it
  Data,    // bytes of a stream, at most kWindowBytes in flight
  End,     // the stream has ended
  Taken,   // decimal: so many bytes of the stream have been passed on
  Closed,  // nobody takes the stream any more
  Signal,  // decimal
  Resize,  // "rows columns"
  Ended,   // "exit-code oom-kills"
};
inline constexpr Kind kLastKind = Kind::Ended;
inline constexpr std::uint8_t kStreams = 3;  // standard input, output and error

struct Frame {
  Kind kind = Kind::Hello;
  std::uint8_t stream = 0;
  std::string payload;
};

std::string encode(Kind kind, std::string_view payload = {}, std::uint8_t stream = 0);

std::string encode_error(const Error& error);
Error decode_error(std::string_view payload);

// Puts frames together again, however the bytes come.
class FrameReader {
 public:
  void feed(std::string_view bytes) { buffer_.append(bytes); }
  // Nothing where the next one is not whole yet; InvalidArgument where the bytes are no frames.
  Result<std::optional<Frame>> next();

 private:
  std::string buffer_;
  std::size_t start_ = 0;
};

}  // namespace berth::relay
