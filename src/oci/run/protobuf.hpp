// The wire format of protocol buffers (protobuf.dev, "Encoding"), as far as CRIU's messages need it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.hpp"

namespace berth::oci {

// Appends fields to a message.
class ProtobufWriter {
 public:
  // An integer that is not negative, an enumerator or a truth value.
  void number(std::uint32_t field, std::uint64_t value);
  // A string, or the bytes of a message.
  void text(std::uint32_t field, std::string_view value);

  const std::string& bytes() const { return bytes_; }

 private:
  void varint(std::uint64_t value);
  std::string bytes_;
};

// A field has a number or a text, by what the sender wrote; fixed-size fields count as texts.
struct ProtobufField {
  std::uint32_t id = 0;
  std::optional<std::uint64_t> number;
  std::string_view text;  // points into the message
};

// Takes the first field off `message`; nothing at its end. InvalidArgument where the bytes are none.
Result<std::optional<ProtobufField>> next_field(std::string_view& message);

}  // namespace berth::oci
