#include "node/protocol.hpp"

#include <fmt/core.h>

#include "base/text.hpp"

namespace berth::node {

std::string encode(Message kind, std::string_view payload) {
  std::string message(1, static_cast<char>(kind));
  message.append(payload);
  return message;
}

std::optional<Received> decode(std::string_view message) {
  constexpr std::string_view kKinds = "sf12xaiewkq";
  if (message.empty() || kKinds.find(message[0]) == std::string_view::npos) return std::nullopt;
  return Received{static_cast<Message>(message[0]), message.substr(1)};
}

std::string encode_error(const Error& error) {
  return fmt::format("{} {} {}", static_cast<int>(error.code), error.sys_errno, error.message);
}

Error decode_error(std::string_view payload) {
  const auto first = payload.find(' ');
  const auto second = first == std::string_view::npos ? first : payload.find(' ', first + 1);
  if (second == std::string_view::npos) return {Code::Internal, 0, "the monitor sent an unreadable error"};
  const auto code = parse_i64(payload.substr(0, first));
  const auto number = parse_i64(payload.substr(first + 1, second - first - 1));
  const bool known =
      code && *code >= static_cast<int>(Code::Cancelled) && *code <= static_cast<int>(Code::Unauthenticated);
  return {known ? static_cast<Code>(*code) : Code::Internal, static_cast<int>(number.value_or(0)),
          std::string(payload.substr(second + 1))};
}

std::string encode_size(sys::WindowSize size) { return fmt::format("{} {}", size.rows, size.columns); }

std::optional<sys::WindowSize> decode_size(std::string_view payload) {
  const auto blank = payload.find(' ');
  if (blank == std::string_view::npos) return std::nullopt;
  const auto rows = parse_u64(payload.substr(0, blank));
  const auto columns = parse_u64(payload.substr(blank + 1));
  if (!rows || !columns || *rows > UINT16_MAX || *columns > UINT16_MAX) return std::nullopt;
  return sys::WindowSize{static_cast<std::uint16_t>(*rows), static_cast<std::uint16_t>(*columns)};
}

std::string encode_attach(AttachWish wish) {
  return std::string(wish.output ? "o" : "") + (wish.input ? "i" : "") + (wish.lossless ? "l" : "");
}

AttachWish decode_attach(std::string_view payload) {
  const auto has = [&](char letter) { return payload.find(letter) != std::string_view::npos; };
  return {has('o'), has('i'), has('l')};
}

}  // namespace berth::node
