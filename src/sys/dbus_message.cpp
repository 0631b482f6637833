#include "sys/dbus_message.hpp"

#include <fmt/core.h>

namespace berth::sys {
namespace {

constexpr std::size_t kMaxMessage = 16 << 20;
constexpr char kLittleEndian = 'l';
constexpr std::uint8_t kVersion = 1;

enum Field : std::uint8_t {
  kPath = 1,
  kInterface = 2,
  kMember = 3,
  kErrorName = 4,
  kReplySerial = 5,
  kDestination = 6,
  kSender = 7,
  kSignature = 8,
  kDescriptors = 9
};

Failure malformed(std::string_view what) {
  return fail(Code::InvalidArgument, fmt::format("malformed D-Bus message: {}", what));
}

void write_field(DBusWriter& writer, Field field, char type, const std::string& text) {
  if (text.empty()) return;
  writer.align(8);
  writer.byte(field);
  writer.signature(std::string_view(&type, 1));
  if (type == 'g')
    writer.signature(text);
  else
    writer.string(text);
}

Result<void> read_field(DBusReader& reader, DBusMessage& message) {
  TRY(reader.align(8));
  const std::uint8_t field = TRY(reader.byte());
  const std::string type = TRY(reader.signature());
  if (type == "u") {
    const std::uint32_t number = TRY(reader.u32());
    if (field == kReplySerial) message.reply_serial = number;
    return {};
  }
  if (type != "s" && type != "o" && type != "g") return malformed("a header field of a type that none has");
  std::string text = type == "g" ? TRY(reader.signature()) : TRY(reader.string());
  if (field == kPath)
    message.path = std::move(text);
  else if (field == kInterface)
    message.interface = std::move(text);
  else if (field == kMember)
    message.member = std::move(text);
  else if (field == kErrorName)
    message.error_name = std::move(text);
  else if (field == kDestination)
    message.destination = std::move(text);
  else if (field == kSignature)
    message.signature = std::move(text);
  return {};
}

std::size_t padded(std::size_t size) { return (size + 7) / 8 * 8; }

}  // namespace

void DBusWriter::number(std::uint64_t value, std::size_t size) {
  align(size);
  for (std::size_t i = 0; i < size; ++i) byte(static_cast<std::uint8_t>(value >> (8 * i)));
}

void DBusWriter::align(std::size_t to) {
  while (bytes_.size() % to != 0) bytes_.push_back('\0');
}

void DBusWriter::string(std::string_view text) {
  u32(static_cast<std::uint32_t>(text.size()));
  bytes_ += text;
  bytes_.push_back('\0');
}

void DBusWriter::signature(std::string_view text) {
  byte(static_cast<std::uint8_t>(text.size()));
  bytes_ += text;
  bytes_.push_back('\0');
}

void DBusWriter::patch(std::size_t at, std::uint32_t value) {
  for (std::size_t i = 0; i < sizeof value; ++i) bytes_[at + i] = static_cast<char>(value >> (8 * i) & 0xff);
}

Result<std::string_view> DBusReader::take(std::size_t count) {
  if (count > left()) return malformed("it ends too early");
  const std::string_view taken = bytes_.substr(at_, count);
  at_ += count;
  return taken;
}

Result<void> DBusReader::align(std::size_t to) {
  TRY(take((to - at_ % to) % to));
  return {};
}

Result<std::uint8_t> DBusReader::byte() { return static_cast<std::uint8_t>(TRY(take(1))[0]); }

Result<std::uint32_t> DBusReader::u32() {
  TRY(align(sizeof(std::uint32_t)));
  std::uint32_t value = 0;
  const std::string_view bytes = TRY(take(sizeof value));
  for (std::size_t i = bytes.size(); i > 0; --i)
    value = value << 8 | static_cast<unsigned char>(bytes[i - 1]);
  return value;
}

Result<std::string> DBusReader::string() {
  const std::size_t length = TRY(u32());
  std::string text(TRY(take(length)));
  TRY(take(1));
  return text;
}

Result<std::string> DBusReader::signature() {
  const std::size_t length = TRY(byte());
  std::string text(TRY(take(length)));
  TRY(take(1));
  return text;
}

std::string encode(const DBusMessage& message) {
  DBusWriter writer;
  writer.byte(static_cast<std::uint8_t>(kLittleEndian));
  writer.byte(static_cast<std::uint8_t>(message.type));
  writer.byte(0);
  writer.byte(kVersion);
  writer.u32(static_cast<std::uint32_t>(message.body.size()));
  writer.u32(message.serial);
  writer.array(8, [&] {
    write_field(writer, kPath, 'o', message.path);
    write_field(writer, kInterface, 's', message.interface);
    write_field(writer, kMember, 's', message.member);
    write_field(writer, kDestination, 's', message.destination);
    write_field(writer, kSignature, 'g', message.signature);
  });
  writer.align(8);
  return writer.bytes() + message.body;
}

Result<std::size_t> message_bytes(std::string_view start) {
  if (start.size() < kDBusFixedHeader || start.front() != kLittleEndian)
    return malformed("not little-endian");
  DBusReader lengths(start.substr(4));
  const std::size_t body = TRY(lengths.u32());
  TRY(lengths.u32());
  const std::size_t fields = TRY(lengths.u32());
  if (body > kMaxMessage || fields > kMaxMessage) return malformed("longer than 16 MiB");
  return padded(kDBusFixedHeader + fields) + body;
}

Result<DBusMessage> decode(std::string_view bytes) {
  if (bytes.size() < kDBusFixedHeader || TRY(message_bytes(bytes)) != bytes.size())
    return malformed("its length is not what it says");
  DBusMessage message;
  DBusReader reader(bytes);
  TRY(reader.byte());
  const std::uint8_t type = TRY(reader.byte());
  if (type < 1 || type > 4) return malformed("of a type that there is not");
  message.type = static_cast<DBusType>(type);
  const std::size_t body = TRY(reader.u32());
  message.serial = TRY(reader.u32());
  const std::size_t fields_end = TRY(reader.u32()) + kDBusFixedHeader;
  while (reader.position() < fields_end) TRY(read_field(reader, message));
  if (reader.position() != fields_end) return malformed("its header fields overlap its body");
  message.body = std::string(bytes.substr(bytes.size() - body));
  return message;
}

}  // namespace berth::sys
