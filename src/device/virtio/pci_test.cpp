#include "device/virtio/pci.hpp"

#include <gtest/gtest.h>
#include <stdlib.h>
#include <unistd.h>

#include <map>

#include "device/virtio/block.hpp"
#include "device/virtio/driver_fixture.hpp"
#include "device/virtio/rng.hpp"

namespace berth::device {
namespace {

constexpr std::uint64_t kBuffers = DriverRing::kBuffers;
constexpr std::uint64_t kNotify = 0x3000;

class Messages final : public MessageSink {
 public:
  void signal(std::uint64_t address, std::uint32_t data) override { sent.push_back({address, data}); }
  std::vector<std::pair<std::uint64_t, std::uint32_t>> sent;
};

// Talks to a device as a driver does (Virtual I/O Device 1.2, 3.1.1).
class VirtioTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string path = testing::TempDir() + "berth-disk-XXXXXX";
    const sys::Fd file(::mkstemp(path.data()));
    path_ = path;
    std::string content(4096, 'a');
    content.replace(512, 512, 512, 'b');
    ASSERT_TRUE(sys::write_all(file.get(), content));
  }
  void TearDown() override { ::unlink(path_.c_str()); }

  std::unique_ptr<VirtioPci> make(std::unique_ptr<VirtioDevice> device) {
    return std::make_unique<VirtioPci>(std::move(device), memory_, messages_);
  }
  std::unique_ptr<VirtioPci> make_disk(bool read_only = false) {
    auto disk = VirtioBlock::open(path_, read_only, "serial-1");
    EXPECT_TRUE(disk) << disk.error().message;
    return make(std::move(*disk));
  }
  void enable_messages(VirtioPci& device) {
    unsigned at = device.config_read(0x34, 1);
    while (at != 0 && device.config_read(at, 1) != 0x11) at = device.config_read(at + 1, 1);
    ASSERT_NE(at, 0U);
    device.config_write(at + 2, 2, 0x8000);
    device.bar_write(2, 0x10, 4, 0xfee00000);
    device.bar_write(2, 0x18, 4, 0x4041);
    device.bar_write(2, 0x1c, 4, 0);
  }
  void start(VirtioPci& device) {
    enable_messages(device);
    device.bar_write(0, 0x14, 1, 3);
    device.bar_write(0, 0x08, 4, 1);
    device.bar_write(0, 0x0c, 4, 1);  // VERSION_1
    device.bar_write(0, 0x14, 1, 0x0b);
    ASSERT_EQ(device.bar_read(0, 0x14, 1), 0x0bU);
    device.bar_write(0, 0x18, 2, 8);
    device.bar_write(0, 0x1a, 2, 1);
    device.bar_write(0, 0x20, 8, DriverRing::kDescriptors);
    device.bar_write(0, 0x28, 4, DriverRing::kAvailable);
    device.bar_write(0, 0x30, 4, DriverRing::kUsed);
    device.bar_write(0, 0x1c, 2, 1);
    device.bar_write(0, 0x14, 1, 0x0f);
  }
  std::uint8_t request(VirtioPci& device, std::uint32_t type, std::uint64_t sector, std::uint32_t bytes,
                       bool write) {
    ring_.put(kBuffers, type);
    ring_.put(kBuffers + 8, sector);
    ring_.put(kBuffers + 0x8000, std::uint8_t{0xee});
    ring_.offer({{kBuffers, 16, false}, {kBuffers + 0x1000, bytes, !write}, {kBuffers + 0x8000, 1, true}});
    device.bar_write(0, kNotify, 2, 0);
    return ring_.get<std::uint8_t>(kBuffers + 0x8000);
  }

  guest::GuestMemory memory_ = *guest::GuestMemory::create(std::uint64_t{2} << 20);
  Messages messages_;
  DriverRing ring_{memory_, 8};
  std::string path_;
};

TEST_F(VirtioTest, AnswersARequestWithAMessage) {
  const auto device = make(std::make_unique<VirtioRng>());
  EXPECT_EQ(device->config_read(0, 4), 0x10441af4U);
  start(*device);
  ring_.offer({{kBuffers, 64, true}});
  device->bar_write(0, kNotify, 2, 0);
  EXPECT_EQ(ring_.used(), 1);
  EXPECT_EQ(ring_.used_bytes(0), 64U);
  EXPECT_EQ(messages_.sent, (std::vector<std::pair<std::uint64_t, std::uint32_t>>{{0xfee00000, 0x4041}}));
  const std::vector<std::byte> zeros(64);
  EXPECT_NE(std::memcmp(memory_.at(guest::Gpa{kBuffers}, 64).data(), zeros.data(), 64), 0);
}

TEST_F(VirtioTest, FeaturesThatWereNotOfferedAreNotAccepted) {
  const auto device = make(std::make_unique<VirtioRng>());
  device->bar_write(0, 0x08, 4, 0);
  device->bar_write(0, 0x0c, 4, 1);  // nobody offered bit 0
  device->bar_write(0, 0x08, 4, 1);
  device->bar_write(0, 0x0c, 4, 1);
  device->bar_write(0, 0x14, 1, 0x0b);
  EXPECT_EQ(device->bar_read(0, 0x14, 1) & 8, 0U);
  device->bar_write(0, 0x14, 1, 0);
  EXPECT_EQ(device->bar_read(0, 0x14, 1), 0U);
}

TEST_F(VirtioTest, ABrokenRingStopsTheDeviceUntilItsReset) {
  const auto device = make(std::make_unique<VirtioRng>());
  start(*device);
  ring_.offer_head(99);
  device->bar_write(0, kNotify, 2, 0);
  EXPECT_EQ(device->bar_read(0, 0x14, 1) & 64, 64U);
  device->bar_write(0, 0x14, 1, 0x0f);
  EXPECT_EQ(device->bar_read(0, 0x14, 1) & 64, 64U) << "only a reset helps";
  device->bar_write(0, 0x14, 1, 0);
  EXPECT_EQ(device->bar_read(0, 0x14, 1), 0U);
}

TEST_F(VirtioTest, DiskReadsWritesAndIdentifies) {
  const auto device = make_disk();
  start(*device);
  EXPECT_EQ(device->bar_read(0, 0x2000, 8), 8U) << "sectors";
  EXPECT_EQ(request(*device, 0, 1, 512, false), 0);
  EXPECT_EQ(ring_.get<char>(kBuffers + 0x1000), 'b');
  EXPECT_EQ(ring_.used_bytes(0), 513U);
  ring_.put(kBuffers + 0x1000, std::uint64_t{0x5858585858585858});
  EXPECT_EQ(request(*device, 1, 7, 512, true), 0);
  EXPECT_EQ(sys::read_file(path_)->substr(7 * 512, 8), "XXXXXXXX");
  EXPECT_EQ(request(*device, 8, 0, 20, false), 0);
  EXPECT_STREQ(reinterpret_cast<const char*>(memory_.at(guest::Gpa{kBuffers + 0x1000}, 20).data()),
               "serial-1");
  EXPECT_EQ(request(*device, 77, 0, 512, false), 2) << "unsupported";
}

TEST_F(VirtioTest, DiskRefusesWhatLiesOutsideIt) {
  const auto device = make_disk();
  start(*device);
  EXPECT_EQ(request(*device, 0, 8, 512, false), 1);
  EXPECT_EQ(request(*device, 0, 7, 1024, false), 1);
  EXPECT_EQ(request(*device, 1, ~std::uint64_t{0}, 512, true), 1);
  EXPECT_EQ(request(*device, 0, std::uint64_t{1} << 55, 512, false), 1);
  EXPECT_EQ(request(*device, 1, 0, 100, true), 1) << "no whole sectors";
  EXPECT_EQ(sys::read_file(path_)->size(), 4096U);
}

TEST_F(VirtioTest, AReadOnlyDiskIsNotWritten) {
  const auto device = make_disk(true);
  start(*device);
  EXPECT_EQ(request(*device, 1, 0, 512, true), 1);
  EXPECT_EQ(sys::read_file(path_)->substr(0, 4), "aaaa");
}

TEST(MsixTest, KeepsMaskedMessagesForLater) {
  Messages messages;
  Msix msix(messages, 2);
  msix.set_control(true, false);
  msix.write(0x10, 4, 0xfee00000);
  msix.write(0x18, 4, 0x55);
  msix.signal(1);
  EXPECT_TRUE(messages.sent.empty()) << "vectors start masked";
  EXPECT_EQ(msix.read(kMsixPendingAt, 4), 2U);
  msix.write(0x1c, 4, 0);
  EXPECT_EQ(messages.sent.size(), 1U);
  EXPECT_EQ(msix.read(kMsixPendingAt, 4), 0U);
  msix.signal(7);
  msix.write(0x3f0, 8, ~std::uint64_t{0});
  EXPECT_EQ(messages.sent.size(), 1U) << "no such vector";
}

}  // namespace
}  // namespace berth::device
