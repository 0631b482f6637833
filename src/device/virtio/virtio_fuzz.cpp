// A driver that does anything: register writes and guest memory from the input, on a disk, an entropy device,
// a socket device, a network interface whose frames are the input's as well, and a balloon.
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cstring>

#include "device/virtio/balloon.hpp"
#include "device/virtio/block.hpp"
#include "device/virtio/net.hpp"
#include "device/virtio/pci.hpp"
#include "device/virtio/rng.hpp"
#include "device/virtio/vsock.hpp"

namespace {

using namespace berth;
using namespace berth::device;

struct NoMessages final : MessageSink {
  void signal(std::uint64_t, std::uint32_t) override {}
} no_messages;

constexpr std::uint64_t kPoke = 0xff;   // an action that writes memory instead of a register
constexpr std::uint64_t kFrame = 0xfe;  // an action that is the host's: bytes on the network's stream

sys::Fd host_end;

std::unique_ptr<VirtioPci> make_disk(const guest::GuestMemory& memory) {
  const auto file = sys::make_memory_file("fuzz-disk", 64 << 10);
  const std::string path = "/proc/self/fd/" + std::to_string(file->get());
  return std::make_unique<VirtioPci>(*VirtioBlock::open(path, false, "fuzz"), memory, no_messages);
}

// With a stream that the guest's connections may be joined to; the other end hangs up at once or echoes
// nothing.
std::unique_ptr<VirtioPci> make_socket(const guest::GuestMemory& memory) {
  auto vsock = VirtioVsock::create();
  VirtioVsock& device = **vsock;
  auto function = std::make_unique<VirtioPci>(std::move(*vsock), memory, no_messages);
  auto ends = sys::socket_pair(SOCK_STREAM);
  device.offer(0, std::move(ends->first));
  return function;
}

std::unique_ptr<VirtioPci> make_network(const guest::GuestMemory& memory) {
  auto ends = sys::socket_pair(SOCK_STREAM | SOCK_NONBLOCK);
  host_end = std::move(ends->second);
  auto net = VirtioNet::create(*StreamPort::create(std::move(ends->first)), {2, 0, 0, 0, 0, 1});
  return std::make_unique<VirtioPci>(*std::move(net), memory, no_messages);
}

// A frame of up to 2047 bytes, or what is none.
void send_frame(std::size_t bytes, std::uint64_t content) {
  if (!host_end) return;
  std::array<char, 4 + 2048> frame{0, 0, static_cast<char>(bytes >> 8 & 7), static_cast<char>(bytes & 0xff)};
  std::memcpy(frame.data() + 4, &content, sizeof content);
  if ((bytes & 0x8000) != 0) frame[0] = 1;
  static_cast<void>(::send(host_end.get(), frame.data(), 4 + bytes % 2048, MSG_NOSIGNAL));
}

// Gets a device to DRIVER_OK with its rings from 0 on, so that the input need not find that out first.
void start(VirtioPci& device) {
  device.bar_write(0, 0x08, 4, 1);
  device.bar_write(0, 0x0c, 4, 1);
  device.bar_write(0, 0x14, 1, 0x0b);
  for (std::uint64_t queue = 0; queue < 2; ++queue) {
    device.bar_write(0, 0x16, 2, queue);
    device.bar_write(0, 0x18, 2, 8);
    device.bar_write(0, 0x20, 8, queue * 0x200);
    device.bar_write(0, 0x28, 8, queue * 0x200 + 0x80);
    device.bar_write(0, 0x30, 8, queue * 0x200 + 0x100);
    device.bar_write(0, 0x1c, 2, 1);
  }
  device.bar_write(0, 0x14, 1, 0x0f);
}

std::unique_ptr<VirtioPci> make_device(unsigned kind, const guest::GuestMemory& memory) {
  if (kind == 0) return std::make_unique<VirtioPci>(std::make_unique<VirtioRng>(), memory, no_messages);
  if (kind == 1) return make_disk(memory);
  if (kind == 2) return make_socket(memory);
  if (kind == 3) return make_network(memory);
  return std::make_unique<VirtioPci>(std::make_unique<VirtioBalloon>(memory), memory, no_messages);
}

void act(VirtioPci& device, const guest::GuestMemory& memory, const std::array<std::uint8_t, 12>& action) {
  std::uint64_t value = 0;
  std::memcpy(&value, action.data() + 4, 8);
  const auto offset = static_cast<std::uint64_t>(action[1] | action[2] << 8);
  if (action[0] == kPoke) {
    static_cast<void>(memory.write(guest::Gpa{offset & 0xfff}, std::as_bytes(std::span(&value, 1))));
    return;
  }
  if (action[0] == kFrame) return send_frame(offset, value);
  const unsigned bytes = 1U << (action[3] & 3);
  const unsigned bar = (action[0] & 1) != 0 ? 2 : 0;
  const std::uint64_t window = bar == 0 ? 0x4000 : 0x1000;
  if ((action[0] & 2) != 0) {
    device.config_write(static_cast<unsigned>(offset % (kConfigBytes - 8)), std::min(bytes, 4U),
                        static_cast<std::uint32_t>(value));
  } else if ((action[0] & 4) != 0) {
    static_cast<void>(device.bar_read(bar, offset % (window - 8), bytes));
  } else {
    device.bar_write(bar, offset % (window - 8), bytes, value);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const auto memory = guest::GuestMemory::create(std::uint64_t{2} << 20);
  std::memset(memory->base(), 0, 4096);
  if (size < 1) return 0;
  host_end.reset();
  const auto device = make_device(data[0] % 5, *memory);
  if ((data[0] & 0x80) != 0) start(*device);
  std::array<std::uint8_t, 12> action{};
  for (std::size_t at = 1; at + action.size() <= size; at += action.size()) {
    std::memcpy(action.data(), data + at, action.size());
    act(*device, *memory, action);
  }
  return 0;
}
