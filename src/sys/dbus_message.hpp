// Messages of D-Bus as they go over the wire: little-endian, aligned values (D-Bus Specification 0.38,
// "Marshaling").
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.hpp"

namespace berth::sys {

// Appends values to a message's body. The caller keeps to the signature it announces.
class DBusWriter {
 public:
  void byte(std::uint8_t value) { bytes_.push_back(static_cast<char>(value)); }
  void u32(std::uint32_t value) { number(value, sizeof value); }
  void u64(std::uint64_t value) { number(value, sizeof value); }
  void boolean(bool value) { u32(value ? 1 : 0); }
  void string(std::string_view text);     // also an object path
  void signature(std::string_view text);  // at most 255 letters
  void align(std::size_t to);             // 8 before a struct

  // An array: what `fill` appends, behind its length. `alignment` is that of the elements.
  template <typename Fill>
  void array(std::size_t alignment, Fill fill) {
    align(4);
    const std::size_t length_at = bytes_.size();
    u32(0);
    align(alignment);
    const std::size_t start = bytes_.size();
    fill();
    patch(length_at, static_cast<std::uint32_t>(bytes_.size() - start));
  }

  const std::string& bytes() const { return bytes_; }
  void patch(std::size_t at, std::uint32_t value);

 private:
  void number(std::uint64_t value, std::size_t size);
  std::string bytes_;
};

// Reads values in turn; what does not fit into the bytes is an error, never read past.
class DBusReader {
 public:
  explicit DBusReader(std::string_view bytes) : bytes_(bytes) {}
  Result<std::uint8_t> byte();
  Result<std::uint32_t> u32();
  Result<std::string> string();
  Result<std::string> signature();
  Result<void> align(std::size_t to);
  std::size_t position() const { return at_; }
  std::size_t left() const { return bytes_.size() - at_; }

 private:
  Result<std::string_view> take(std::size_t count);
  std::string_view bytes_;
  std::size_t at_ = 0;
};

enum class DBusType : std::uint8_t { Call = 1, Reply = 2, Error = 3, Signal = 4 };

struct DBusMessage {
  DBusType type = DBusType::Call;
  std::uint32_t serial = 0;
  std::uint32_t reply_serial = 0;
  std::string path;
  std::string interface;
  std::string member;
  std::string error_name;
  std::string destination;
  std::string signature;
  std::string body;
};

std::string encode(const DBusMessage& message);
// The bytes that the whole message has, from its first 16; InvalidArgument for what is none or is above 16
// MiB.
Result<std::size_t> message_bytes(std::string_view start);
Result<DBusMessage> decode(std::string_view bytes);

inline constexpr std::size_t kDBusFixedHeader = 16;

}  // namespace berth::sys
