#include "device/virtio/rng.hpp"

#include <sys/random.h>

#include <algorithm>

namespace berth::device {
namespace {

// A request gets no more, whatever it asks for: the guest comes back.
constexpr std::size_t kMost = 4096;

}  // namespace

void VirtioRng::notify(unsigned queue) {
  drain(queue, [](const Chain& chain) {
    std::array<std::byte, kMost> random;
    const std::size_t wanted = std::min(chain.writable_bytes(), random.size());
    const ssize_t got = ::getrandom(random.data(), wanted, 0);
    return got <= 0 ? 0U
                    : static_cast<std::uint32_t>(
                          chain.write(std::span(random).first(static_cast<std::size_t>(got))));
  });
}

}  // namespace berth::device
