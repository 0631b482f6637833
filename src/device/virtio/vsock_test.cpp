#include "device/virtio/vsock.hpp"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>

#include "device/virtio/driver_fixture.hpp"

namespace berth::device {
namespace {

constexpr std::uint64_t kBuffers = DriverRing::kBuffers, kPage = 4096;
constexpr std::uint32_t kHostPort = 1024, kGuestPort = 5000;

// One direction's ring, in a memory of its own.
struct Ring {
  guest::GuestMemory memory = *guest::GuestMemory::create(std::uint64_t{2} << 20);
  DriverRing driver{memory, 64};
  Queue queue{memory};
  Ring() { queue.state() = driver.state(); }
};

class Transport final : public VirtioTransport {
 public:
  std::mutex& mutex() override { return mutex_; }
  Queue& queue(unsigned index) override { return index == 0 ? to_guest.queue : from_guest.queue; }
  void interrupt(unsigned) override {}
  void config_changed() override {}
  void broken() override { running_ = false; }
  bool running() const override { return running_; }
  Ring to_guest, from_guest;
  bool running_ = true;

 private:
  std::mutex mutex_;
};

class VsockTest : public testing::Test {
 protected:
  void SetUp() override {
    device_ = *VirtioVsock::create();
    device_->attach(transport_);
    device_->activate(0);
    const std::lock_guard lock(transport_.mutex());
    for (std::uint16_t i = 0; i < 16; ++i)
      transport_.to_guest.driver.offer({{kBuffers + i * kPage, kPage, true}}, i);
    device_->notify(0);
  }

  void send(VsockOp op, std::string_view payload = {}, std::uint32_t host_port = kHostPort) {
    VsockHeader header{.source_cid = kGuestCid, .target_cid = kHostCid, .source_port = kGuestPort};
    header.target_port = host_port;
    header.bytes = static_cast<std::uint32_t>(payload.size());
    header.op = static_cast<std::uint16_t>(op);
    header.buffer_bytes = 64 << 10;
    send_packet(header, payload);
  }
  void send_packet(const VsockHeader& header, std::string_view payload) {
    const std::lock_guard lock(transport_.mutex());
    Ring& ring = transport_.from_guest;
    ring.driver.put(kBuffers, header);
    std::memcpy(ring.memory.at(guest::Gpa{kBuffers + kPage}, 128 << 10).data(), payload.data(),
                payload.size());
    if (payload.empty())
      ring.driver.offer({{kBuffers, sizeof header, false}});
    else
      ring.driver.offer({{kBuffers, sizeof header, false},
                         {kBuffers + kPage, static_cast<std::uint32_t>(payload.size()), false}});
    device_->notify(1);
  }

  // The next packet that the guest gets; fails the test where none comes.
  VsockHeader receive(std::string* payload = nullptr) {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(10);
    while (std::chrono::steady_clock::now() < deadline) {
      const std::lock_guard lock(transport_.mutex());
      DriverRing& driver = transport_.to_guest.driver;
      if (driver.used() == seen_) continue;
      const std::uint64_t at = kBuffers + driver.used_head(seen_++) * kPage;
      const auto header = driver.get<VsockHeader>(at);
      const auto bytes = transport_.to_guest.memory.at(guest::Gpa{at + sizeof header}, header.bytes);
      if (payload != nullptr) payload->assign(reinterpret_cast<const char*>(bytes.data()), bytes.size());
      return header;
    }
    ADD_FAILURE() << "no packet came";
    return {};
  }
  VsockOp receive_op() { return static_cast<VsockOp>(receive().op); }

  // A connection that the guest made; the host's end.
  sys::Fd open() {
    auto [ours, theirs] = *sys::socket_pair(SOCK_STREAM);
    device_->offer(kHostPort, std::move(theirs));
    send(VsockOp::Request);
    EXPECT_EQ(receive_op(), VsockOp::Response);
    return std::move(ours);
  }

  Transport transport_;
  std::unique_ptr<VirtioVsock> device_;
  unsigned seen_ = 0;
};

TEST_F(VsockTest, TheGuestsConnectionCarriesBytesBothWays) {
  const sys::Fd host = open();
  send(VsockOp::Data, "from the guest");
  std::array<char, 64> buffer{};
  EXPECT_EQ(*sys::read_some(host.get(), buffer), 14U);
  EXPECT_STREQ(buffer.data(), "from the guest");
  ASSERT_TRUE(sys::write_all(host.get(), "from the host").has_value());
  std::string payload;
  EXPECT_EQ(receive(&payload).op, static_cast<std::uint16_t>(VsockOp::Data));
  EXPECT_EQ(payload, "from the host");
}

TEST_F(VsockTest, TheHostConnectsToAPort) {
  auto [ours, theirs] = *sys::socket_pair(SOCK_STREAM);
  device_->connect(7, std::move(theirs));
  const VsockHeader request = receive();
  EXPECT_EQ(request.op, static_cast<std::uint16_t>(VsockOp::Request));
  EXPECT_EQ(std::uint32_t{request.target_port}, 7U);
  VsockHeader refusal{.source_cid = kGuestCid, .target_cid = kHostCid, .source_port = 7};
  refusal.target_port = request.source_port;
  refusal.op = static_cast<std::uint16_t>(VsockOp::Reset);
  send_packet(refusal, {});
  std::array<char, 1> buffer{};
  EXPECT_EQ(*sys::read_some(ours.get(), buffer), 0U);
}

TEST_F(VsockTest, PortsWithoutAnOfferAreRefused) {
  send(VsockOp::Request, {}, 99);
  EXPECT_EQ(receive_op(), VsockOp::Reset);
  send(VsockOp::Data, "stray", 98);
  EXPECT_EQ(receive_op(), VsockOp::Reset);
}

TEST_F(VsockTest, AnOfferIsTakenOnce) {
  const sys::Fd host = open();
  VsockHeader again{.source_cid = kGuestCid, .target_cid = kHostCid, .source_port = kGuestPort + 1};
  again.target_port = kHostPort;
  again.op = static_cast<std::uint16_t>(VsockOp::Request);
  send_packet(again, {});
  EXPECT_EQ(receive_op(), VsockOp::Reset);
}

TEST_F(VsockTest, EitherSideEnds) {
  {
    const sys::Fd host = open();
    send(VsockOp::Data, "last words");
    send(VsockOp::Shutdown);
    EXPECT_EQ(*sys::read_all(host.get()), "last words");
    EXPECT_EQ(receive_op(), VsockOp::Reset);
  }
  sys::Fd host = open();
  host.reset();
  EXPECT_EQ(receive_op(), VsockOp::Reset);
}

TEST_F(VsockTest, AGuestThatSendsMoreThanItMayIsCutOff) {
  const sys::Fd host = open();
  const std::string block(60 << 10, 'x');
  for (int i = 0; i < 40; ++i) send(VsockOp::Data, block);  // nobody reads; the socket takes some of it
  VsockOp op = receive_op();
  while (op == VsockOp::CreditUpdate) op = receive_op();
  EXPECT_EQ(op, VsockOp::Reset);
}

TEST_F(VsockTest, NothingIsSentBeyondTheGuestsRoom) {
  const sys::Fd host = open();
  VsockHeader narrow{.source_cid = kGuestCid, .target_cid = kHostCid, .source_port = kGuestPort};
  narrow.target_port = kHostPort;
  narrow.op = static_cast<std::uint16_t>(VsockOp::CreditUpdate);
  narrow.buffer_bytes = 5;
  send_packet(narrow, {});
  ASSERT_TRUE(sys::write_all(host.get(), "0123456789").has_value());
  std::string payload;
  receive(&payload);
  EXPECT_EQ(payload, "01234");
  narrow.forwarded = 5;
  send_packet(narrow, {});
  receive(&payload);
  EXPECT_EQ(payload, "56789");
}

}  // namespace
}  // namespace berth::device
