// What a monitor and its clients say to each other over a message socket: one message is one kind byte and a
// payload.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/result.hpp"
#include "sys/terminal.hpp"

namespace berth::node {

enum class Message : char {
  // from the monitor
  Started = 's',  // the unit's process number
  Failed = 'f',   // the launch failed: an error, as encode_error() has it
  Stdout = '1',
  Stderr = '2',
  Ended = 'x',  // a run ended: the exit code, "" where unknown; "r" appended: it will be started again
  // from a client
  Attach = 'a',  // letters: o wants output; i gives input; l output must not be lost
  Stdin = 'i',
  StdinEnd = 'e',
  Resize = 'w',  // "rows columns"
  Signal = 'k',  // a signal's number, for the unit's first process
  Stop = 'q',    // a person wants no more restarts
};

struct Received {
  Message kind;
  std::string_view payload;  // into the buffer
};

std::string encode(Message kind, std::string_view payload);
std::optional<Received> decode(std::string_view message);

std::string encode_error(const Error& error);
Error decode_error(std::string_view payload);

std::string encode_size(sys::WindowSize size);
std::optional<sys::WindowSize> decode_size(std::string_view payload);

struct AttachWish {
  bool output = false;
  bool input = false;
  bool lossless = false;
};
std::string encode_attach(AttachWish wish);
AttachWish decode_attach(std::string_view payload);

inline constexpr std::string_view kAttachSocket = "attach.sock";

}  // namespace berth::node
