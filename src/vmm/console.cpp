#include "vmm/console.hpp"

#include <poll.h>

#include <algorithm>
#include <array>
#include <memory>

#include "sys/thread.hpp"

namespace berth::vmm {
namespace {

// What a guest may write ahead of its reader before it is held up.
constexpr std::size_t kMaxPending = std::size_t{256} << 10;

}  // namespace

Result<std::unique_ptr<Console>> Console::create(int input, int output, std::uint64_t limit_bytes) {
  return std::unique_ptr<Console>(new Console(input, output, limit_bytes, TRY(sys::pipe())));
}

Console::Console(int input, int output, std::uint64_t limit_bytes, sys::Pipe stop)
    : input_(input), output_(output), left_bytes_(limit_bytes), stop_(std::move(stop)), writer_([this] {
        write_output();
      }) {}

Console::~Console() { close(); }

device::Serial::Host Console::host() {
  return {.send = [this](std::uint8_t byte) { put(byte); },
          .room =
              [this] {
                const std::lock_guard lock(mutex_);
                guest_read_ = true;
                room_.notify_one();
              }};
}

void Console::connect(device::Serial& serial) {
  serial_ = &serial;
  if (input_ >= 0) reader_ = std::thread([this] { read_input(); });
}

void Console::close() {
  {
    const std::lock_guard lock(mutex_);
    closing_ = true;
  }
  stop_.write.reset();
  output_changed_.notify_all();
  room_.notify_all();
  if (reader_.joinable()) reader_.join();
  if (writer_.joinable()) writer_.join();
}

void Console::put(std::uint8_t byte) {
  std::unique_lock lock(mutex_);
  output_changed_.wait(lock, [&] { return pending_.size() < kMaxPending || closing_; });
  if (closing_) return;
  pending_.push_back(byte);
  if (pending_.size() == 1) output_changed_.notify_all();
}

void Console::write_output() {
  sys::set_thread_name("console-out");
  std::vector<std::uint8_t> batch;
  bool broken = false;  // nobody reads any more: the guest runs on
  std::unique_lock lock(mutex_);
  while (true) {
    output_changed_.wait(lock, [&] { return !pending_.empty() || closing_; });
    if (pending_.empty()) return;
    batch.swap(pending_);
    output_changed_.notify_all();
    lock.unlock();
    batch.resize(std::min<std::uint64_t>(batch.size(), left_bytes_));
    left_bytes_ -= batch.size();
    if (!broken)
      broken = !sys::write_all(output_, {reinterpret_cast<const char*>(batch.data()), batch.size()});
    batch.clear();
    lock.lock();
  }
}

void Console::read_input() {
  sys::set_thread_name("console-in");
  std::array<char, 4096> buffer{};
  std::array<pollfd, 2> waits{pollfd{stop_.read.get(), POLLIN, 0}, pollfd{input_, POLLIN, 0}};
  while (true) {
    if (::poll(waits.data(), waits.size(), -1) < 0 && errno != EINTR) return;
    if (waits[0].revents != 0) return;
    if (waits[1].revents == 0) continue;
    const auto count = sys::read_some(input_, buffer);
    if (!count || *count == 0) return;
    feed({reinterpret_cast<const std::uint8_t*>(buffer.data()), *count});
  }
}

void Console::feed(std::span<const std::uint8_t> bytes) {
  while (true) {
    {
      const std::lock_guard lock(mutex_);
      guest_read_ = false;
      if (closing_) return;
    }
    bytes = bytes.subspan(serial_->receive(bytes));
    if (bytes.empty()) return;
    std::unique_lock lock(mutex_);
    room_.wait(lock, [&] { return guest_read_ || closing_; });
  }
}

}  // namespace berth::vmm
