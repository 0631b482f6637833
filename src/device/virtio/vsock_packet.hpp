// The header of each packet of a socket device (Virtual I/O Device 1.2, 5.10.6).
#pragma once

#include <cstdint>

namespace berth::device {

enum class VsockOp : std::uint16_t {
  Request = 1,
  Response = 2,
  Reset = 3,
  Shutdown = 4,
  Data = 5,
  CreditUpdate = 6,
  CreditRequest = 7,
};

struct [[gnu::packed]] VsockHeader {
  std::uint64_t source_cid = 0, target_cid = 0;
  std::uint32_t source_port = 0, target_port = 0;
  std::uint32_t bytes = 0;
  std::uint16_t type = 1;  // a stream
  std::uint16_t op = 0;
  std::uint32_t flags = 0;
  std::uint32_t buffer_bytes = 0, forwarded = 0;  // the sender's room for what it gets
};
static_assert(sizeof(VsockHeader) == 44);

}  // namespace berth::device
