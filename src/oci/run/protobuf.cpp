#include "oci/run/protobuf.hpp"

namespace berth::oci {
namespace {

enum class WireType : std::uint32_t { Varint = 0, Fixed64 = 1, Text = 2, Fixed32 = 5 };

constexpr unsigned kTypeBits = 3;
constexpr std::uint64_t kMaxFieldId = (1U << 29) - 1;

Result<std::uint64_t> take_varint(std::string_view& message) {
  constexpr std::size_t kMost = 10;  // bytes, of seven bits each: the tenth has one
  std::uint64_t value = 0;
  for (std::size_t at = 0; at < message.size() && at < kMost; ++at) {
    const auto byte = static_cast<unsigned char>(message[at]);
    if (at == kMost - 1 && byte > 1) break;
    value |= std::uint64_t{byte & 0x7FU} << (7 * at);
    if (byte < 0x80) {
      message.remove_prefix(at + 1);
      return value;
    }
  }
  return fail(Code::InvalidArgument, "a protobuf message has a number without an end");
}

Result<std::string_view> take_bytes(std::string_view& message, std::uint64_t count) {
  if (count > message.size())
    return fail(Code::InvalidArgument, "a protobuf message ends in the middle of a field");
  const std::string_view bytes = message.substr(0, count);
  message.remove_prefix(count);
  return bytes;
}

}  // namespace

void ProtobufWriter::varint(std::uint64_t value) {
  for (; value >= 0x80; value >>= 7) bytes_.push_back(static_cast<char>((value & 0x7F) | 0x80));
  bytes_.push_back(static_cast<char>(value));
}

void ProtobufWriter::number(std::uint32_t field, std::uint64_t value) {
  varint(std::uint64_t{field} << kTypeBits | static_cast<std::uint64_t>(WireType::Varint));
  varint(value);
}

void ProtobufWriter::text(std::uint32_t field, std::string_view value) {
  varint(std::uint64_t{field} << kTypeBits | static_cast<std::uint64_t>(WireType::Text));
  varint(value.size());
  bytes_.append(value);
}

Result<std::optional<ProtobufField>> next_field(std::string_view& message) {
  if (message.empty()) return std::optional<ProtobufField>();
  const std::uint64_t tag = TRY(take_varint(message));
  ProtobufField field;
  const std::uint64_t id = tag >> kTypeBits;
  if (id == 0 || id > kMaxFieldId)
    return fail(Code::InvalidArgument, "a protobuf message has a field without a number");
  field.id = static_cast<std::uint32_t>(id);
  switch (static_cast<WireType>(tag & ((1U << kTypeBits) - 1))) {
    case WireType::Varint:
      field.number = TRY(take_varint(message));
      return std::optional(field);
    case WireType::Text:
      field.text = TRY(take_bytes(message, TRY(take_varint(message))));
      return std::optional(field);
    case WireType::Fixed64:
      field.text = TRY(take_bytes(message, sizeof(std::uint64_t)));
      return std::optional(field);
    case WireType::Fixed32:
      field.text = TRY(take_bytes(message, sizeof(std::uint32_t)));
      return std::optional(field);
  }
  return fail(Code::InvalidArgument, "a protobuf message has a field of an unknown kind");
}

}  // namespace berth::oci
