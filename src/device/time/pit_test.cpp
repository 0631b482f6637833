#include "device/time/pit.hpp"

#include <gtest/gtest.h>

#include "device/irq/recording.hpp"
#include "device/time/manual_timers.hpp"

namespace berth::device {
namespace {

constexpr std::uint64_t kMs = 1'000'000;

class PitTest : public testing::Test {
 protected:
  void SetUp() override { pit_.attach(bus_); }
  void out(std::uint16_t port, std::uint32_t value) { bus_.write(port, 1, value); }
  unsigned in(std::uint16_t port) { return bus_.read(port, 1); }
  void program(std::uint16_t port, std::uint32_t control, std::uint32_t count) {
    out(0x43, control);
    out(port, count & 0xff);
    out(port, count >> 8);
  }

  PortBus bus_;
  ManualTimers timers_;
  RecordingLines lines_;
  Pit pit_{timers_, {lines_, 0}};
};

TEST_F(PitTest, PeriodicInterruptsKeepTheirRate) {
  program(0x40, 0x34, 11932);  // 100 Hz
  timers_.advance(1000 * kMs);
  EXPECT_NEAR(lines_.rises[0], 100, 1);
  out(0x43, 0x30);  // a new control word stops it
  const int before = lines_.rises[0];
  timers_.advance(100 * kMs);
  EXPECT_EQ(lines_.rises[0], before);
}

TEST_F(PitTest, OneShotRaisesOnce) {
  program(0x40, 0x30, 1193);  // 1 ms
  EXPECT_FALSE(lines_.level[0]);
  timers_.advance(2 * kMs);
  EXPECT_TRUE(lines_.level[0]);
  EXPECT_EQ(lines_.rises[0], 1);
}

TEST_F(PitTest, ALatchedCountStandsStill) {
  program(0x40, 0x34, 0);
  timers_.advance(10 * kMs);
  out(0x43, 0x00);
  timers_.advance(10 * kMs);
  const unsigned low = in(0x40);
  const unsigned count = low | in(0x40) << 8;
  EXPECT_NEAR(static_cast<int>(count), 65536 - 11932, 2);
}

TEST_F(PitTest, ChannelTwoIsGatedAndSeenThroughTheSpeakerPort) {
  out(0x61, 0x01);
  program(0x42, 0xb0, 11932);  // 10 ms
  EXPECT_EQ(in(0x61) & 0x20, 0U);
  timers_.advance(11 * kMs);
  EXPECT_EQ(in(0x61) & 0x21, 0x21U);
}

TEST_F(PitTest, ReadBackGivesTheModeAndDecimalCounts) {
  program(0x42, 0xbd, 0x1000);  // mode 6 is 2, in decimal
  out(0x43, 0xe8);              // status of channel 2
  EXPECT_EQ(in(0x42) & 0x3f, 0x35U);
}

TEST_F(PitTest, TheShortestPeriodIsBounded) {
  program(0x40, 0x34, 1);
  timers_.advance(kMs);
  EXPECT_LE(lines_.rises[0], 600);
}

}  // namespace
}  // namespace berth::device
