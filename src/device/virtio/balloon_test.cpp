#include "device/virtio/balloon.hpp"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include "device/virtio/driver_fixture.hpp"
#include "device/virtio/pci.hpp"

namespace berth::device {
namespace {

constexpr std::uint64_t kNotify = 0x3000, kConfig = 0x2000, kPage = guest::kPageBytes;
constexpr std::uint64_t kFree = 0x100000;  // an address whose memory the tests give away

struct NoMessages final : MessageSink {
  void signal(std::uint64_t, std::uint32_t) override {}
};

class BalloonTest : public testing::Test {
 protected:
  void start(unsigned queue) {
    device_.bar_write(0, 0x00, 4, 0);
    EXPECT_EQ(device_.bar_read(0, 0x04, 4) & 0xff, 0x20U) << "reports of free memory";
    device_.bar_write(0, 0x08, 4, 0);
    device_.bar_write(0, 0x0c, 4, 0x20);
    device_.bar_write(0, 0x08, 4, 1);
    device_.bar_write(0, 0x0c, 4, 1);
    device_.bar_write(0, 0x14, 1, 0x0b);
    device_.bar_write(0, 0x16, 2, queue);
    device_.bar_write(0, 0x18, 2, 8);
    device_.bar_write(0, 0x20, 8, DriverRing::kDescriptors);
    device_.bar_write(0, 0x28, 8, DriverRing::kAvailable);
    device_.bar_write(0, 0x30, 8, DriverRing::kUsed);
    device_.bar_write(0, 0x1c, 2, 1);
    device_.bar_write(0, 0x14, 1, 0x0f);
    // Touched, so that only what the device gives back changes what the host has.
    for (const std::uint64_t page : {DriverRing::kDescriptors, DriverRing::kAvailable, DriverRing::kUsed})
      ring_.put(page, std::uint32_t{0});
    std::memset(memory_.at(guest::Gpa{kFree}, 16 * kPage).data(), 0x5a, 16 * kPage);
  }
  void notify(unsigned queue) { device_.bar_write(0, kNotify + 4U * queue, 2, queue); }
  std::uint64_t host_bytes() const {
    struct stat status {};
    EXPECT_EQ(::fstat(memory_.file(), &status), 0);
    return static_cast<std::uint64_t>(status.st_blocks) * 512;
  }
  std::uint8_t at(std::uint64_t address) const { return ring_.get<std::uint8_t>(address); }

  guest::GuestMemory memory_ = *guest::GuestMemory::create(std::uint64_t{2} << 20);
  NoMessages messages_;
  std::vector<std::uint64_t> written_;
  DriverRing ring_{memory_, 8};
  VirtioPci device_{std::make_unique<VirtioBalloon>(memory_), memory_, messages_,
                    [this](guest::Gpa address, std::uint64_t) { written_.push_back(value(address)); }};
};

// Queue 2 is Linux's, 4 the specification's.
class ReportTest : public BalloonTest, public testing::WithParamInterface<unsigned> {};
INSTANTIATE_TEST_SUITE_P(Queues, ReportTest, testing::Values(2U, 4U));

TEST_P(ReportTest, ReportedMemoryGoesBackToTheHost) {
  start(GetParam());
  const std::uint64_t before = host_bytes();
  ring_.offer({{kFree, 8 * kPage, true}, {kFree + 10 * kPage + 100, 3 * kPage, true}});
  notify(GetParam());
  EXPECT_EQ(ring_.used(), 1);
  EXPECT_EQ(before - host_bytes(), 10 * kPage) << "whole pages alone";
  EXPECT_EQ(at(kFree), 0);
  EXPECT_EQ(at(kFree + 8 * kPage), 0x5a);
  EXPECT_EQ(at(kFree + 10 * kPage + 100), 0x5a);
  EXPECT_EQ(at(kFree + 11 * kPage), 0);
  EXPECT_EQ(written_.front(), kFree) << "an engine may have translated what was there";
}

TEST_F(BalloonTest, PagesInTheBalloonGoBackToo) {
  start(0);
  ring_.put(DriverRing::kBuffers, std::uint32_t{(kFree >> 12) + 1});
  ring_.put(DriverRing::kBuffers + 4, std::uint32_t{0xffffffff});  // no RAM
  ring_.offer({{DriverRing::kBuffers, 8, false}});
  const std::uint64_t before = host_bytes();
  notify(0);
  EXPECT_EQ(ring_.used(), 1);
  EXPECT_EQ(before - host_bytes(), kPage);
  EXPECT_EQ(at(kFree), 0x5a);
  EXPECT_EQ(at(kFree + kPage), 0);
  EXPECT_EQ(written_, std::vector<std::uint64_t>{kFree + kPage});
  device_.bar_write(0, kConfig + 4, 4, 1);
  EXPECT_EQ(device_.bar_read(0, kConfig, 4), 0U) << "none are asked for";
  EXPECT_EQ(device_.bar_read(0, kConfig + 4, 4), 1U);
}

TEST_F(BalloonTest, TakingPagesOutChangesNothing) {
  start(1);
  ring_.put(DriverRing::kBuffers, std::uint32_t{kFree >> 12});
  ring_.offer({{DriverRing::kBuffers, 4, false}});
  notify(1);
  EXPECT_EQ(ring_.used(), 1);
  EXPECT_EQ(at(kFree), 0x5a);
}

}  // namespace
}  // namespace berth::device
