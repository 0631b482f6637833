#include "device/virtio/net.hpp"

#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <thread>

#include "device/virtio/driver_fixture.hpp"
#include "device/virtio/pci.hpp"

namespace berth::device {
namespace {

constexpr std::uint64_t kBuffers = DriverRing::kBuffers, kNotify = 0x3000, kConfig = 0x2000;
constexpr std::uint64_t kOtherQueue = 0x80000;  // where the queue that a test does not look at lies
constexpr MacAddress kMac{2, 0, 0, 1, 2, 3};

struct NoMessages final : MessageSink {
  void signal(std::uint64_t, std::uint32_t) override {}
};

template <typename Condition>
bool soon(Condition condition) {
  for (int i = 0; i < 2000 && !condition(); ++i) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  return condition();
}

// The interface on one end of a stream socket, the test on the other.
class NetTest : public testing::Test {
 protected:
  void SetUp() override {
    auto ends = sys::socket_pair(SOCK_STREAM);
    ASSERT_TRUE(ends);
    host_ = std::move(ends->second);
    auto net = VirtioNet::create(*StreamPort::create(std::move(ends->first)), kMac);
    device_ = std::make_unique<VirtioPci>(std::move(*net), memory_, messages_);
  }
  void start(unsigned looked_at) {
    device_->bar_write(0, 0x08, 4, 1);
    device_->bar_write(0, 0x0c, 4, 1);
    device_->bar_write(0, 0x14, 1, 0x0b);
    for (unsigned queue = 0; queue < 2; ++queue) {
      const std::uint64_t base = queue == looked_at ? 0 : kOtherQueue;
      device_->bar_write(0, 0x16, 2, queue);
      device_->bar_write(0, 0x18, 2, 8);
      device_->bar_write(0, 0x20, 8, base + DriverRing::kDescriptors);
      device_->bar_write(0, 0x28, 8, base + DriverRing::kAvailable);
      device_->bar_write(0, 0x30, 8, base + DriverRing::kUsed);
      device_->bar_write(0, 0x1c, 2, 1);
    }
    device_->bar_write(0, 0x14, 1, 0x0f);
  }
  void notify(unsigned queue) { device_->bar_write(0, kNotify + 4U * queue, 2, queue); }
  std::string text(std::uint64_t address, std::size_t bytes) const {
    return {reinterpret_cast<const char*>(memory_.at(guest::Gpa{address}, bytes).data()), bytes};
  }
  std::string read_host(std::size_t bytes) const {
    std::string data(bytes, '\0');
    pollfd fd{host_.get(), POLLIN, 0};
    if (::poll(&fd, 1, 2000) != 1) return "";
    const ssize_t count = ::recv(host_.get(), data.data(), data.size(), 0);
    data.resize(count > 0 ? static_cast<std::size_t>(count) : 0);
    return data;
  }
  bool idle() const {
    pollfd fd{host_.get(), POLLIN, 0};
    return ::poll(&fd, 1, 50) == 0;
  }
  // MSG_NOSIGNAL: the device may have left the stream already.
  void send_host(const std::string& data) const {
    ::send(host_.get(), data.data(), data.size(), MSG_NOSIGNAL);
  }
  static std::string framed(const std::string& frame) {
    return std::string{0, 0, static_cast<char>(frame.size() >> 8), static_cast<char>(frame.size() & 0xff)} +
           frame;
  }

  guest::GuestMemory memory_ = *guest::GuestMemory::create(std::uint64_t{2} << 20);
  NoMessages messages_;
  DriverRing ring_{memory_, 8};
  sys::Fd host_;
  std::unique_ptr<VirtioPci> device_;
};

TEST_F(NetTest, SaysWhatItIs) {
  EXPECT_EQ(device_->config_read(0, 4), 0x10411af4U);
  EXPECT_EQ(device_->bar_read(0, kConfig, 1), 2U);
  EXPECT_EQ(device_->bar_read(0, kConfig + 5, 1), 3U);
  EXPECT_EQ(device_->bar_read(0, kConfig + 6, 2), 1U) << "the link is up";
  device_->bar_write(0, 0x00, 4, 0);
  EXPECT_EQ(device_->bar_read(0, 0x04, 4) & 0xfffffff, 0x10020U) << "no offloads";
}

TEST_F(NetTest, AFrameLeavesBehindItsLength) {
  start(1);
  const std::string frame(60, 'x');
  std::memcpy(memory_.at(guest::Gpa{kBuffers + 0x100}, 60).data(), frame.data(), 60);
  ring_.offer({{kBuffers, 12, false}, {kBuffers + 0x100, 60, false}});
  notify(1);
  EXPECT_EQ(read_host(200), framed(frame));
  EXPECT_EQ(ring_.used(), 1);
  EXPECT_EQ(ring_.used_bytes(0), 0U);
}

TEST_F(NetTest, WhatIsNoFrameIsTakenAndDropped) {
  start(1);
  ring_.offer({{kBuffers, 12 + 13, false}});
  ring_.offer({{kBuffers, 12 + 1519, false}}, 1);
  ring_.offer({{kBuffers, 4, false}}, 2);
  ring_.offer({{kBuffers, 64, true}}, 3);
  notify(1);
  EXPECT_EQ(ring_.used(), 4);
  EXPECT_TRUE(idle());
  EXPECT_EQ(device_->bar_read(0, 0x14, 1), 0x0fU);
}

TEST_F(NetTest, AFrameComesBehindAHeader) {
  start(0);
  ring_.offer({{kBuffers, 2048, true}});
  notify(0);
  const std::string frame(77, 'y');
  send_host(framed(frame).substr(0, 30));
  send_host(framed(frame).substr(30));
  ASSERT_TRUE(soon([&] { return ring_.used() == 1; }));
  EXPECT_EQ(ring_.used_bytes(0), 12U + 77U);
  EXPECT_EQ(text(kBuffers, 12), (std::string{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0}));
  EXPECT_EQ(text(kBuffers + 12, 77), frame);
}

TEST_F(NetTest, FramesWaitForBuffersAndTooLongOnesDoNotCome) {
  start(0);
  send_host(framed(std::string(1519, 'l')) + framed(std::string(60, '1')) + framed(std::string(60, '2')));
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  ring_.offer({{kBuffers, 2048, true}});
  notify(0);
  ASSERT_TRUE(soon([&] { return ring_.used() == 1; }));
  EXPECT_EQ(text(kBuffers + 12, 1), "1");
  std::this_thread::sleep_for(std::chrono::milliseconds(20));
  ring_.offer({{kBuffers + 0x1000, 2048, true}}, 1);
  notify(0);
  ASSERT_TRUE(soon([&] { return ring_.used() == 2; }));
  EXPECT_EQ(text(kBuffers + 0x1000 + 12, 1), "2");
}

TEST_F(NetTest, AFullHostStopsTheGuestUntilItReads) {
  start(1);
  std::uint16_t offered = 0;
  const auto offer = [&] {
    const auto descriptor = static_cast<std::uint16_t>(offered++ % 8);
    ring_.offer({{kBuffers, 12 + 1500, false}}, descriptor);
    notify(1);
  };
  while (ring_.used() == offered && offered < 5000) offer();
  ASSERT_LT(offered, 5000) << "the host's buffer has no end";
  const std::size_t expected = offered * std::size_t{1504};
  std::size_t got = 0;
  while (got < expected) {
    const std::string data = read_host(1 << 16);
    if (data.empty()) break;
    got += data.size();
  }
  EXPECT_EQ(got, expected) << "nothing is lost, nothing comes twice";
  EXPECT_TRUE(soon([&] { return ring_.used() == offered; }));
}

TEST_F(NetTest, AHostThatGoesIsACableThatIsPulled) {
  start(0);
  host_.reset();
  EXPECT_TRUE(soon([&] { return device_->bar_read(0, kConfig + 6, 2) == 0; }));
  EXPECT_EQ(device_->bar_read(0, 0x14, 1), 0x0fU) << "and no fault of the device's";
}

TEST_F(NetTest, AHostThatBreaksTheStreamIsLeft) {
  start(0);
  send_host(std::string{0, 1, 0, 0});
  send_host(std::string(100, 'x'));
  EXPECT_TRUE(soon([&] { return device_->bar_read(0, kConfig + 6, 2) == 0; }));
}

TEST_F(NetTest, ABufferThatNoFrameFitsInIsTheDriversFault) {
  start(0);
  ring_.offer({{kBuffers, 20, true}});
  notify(0);
  send_host(framed(std::string(60, 'x')));
  EXPECT_TRUE(soon([&] { return (device_->bar_read(0, 0x14, 1) & 64) != 0; }));
}

}  // namespace
}  // namespace berth::device
