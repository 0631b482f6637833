#include "device/irq/pic.hpp"

#include <gtest/gtest.h>

namespace berth::device {
namespace {

class PicTest : public testing::Test {
 protected:
  void SetUp() override {
    pic_.attach(bus_);
    for (const auto& [port, base, cascade] : {std::tuple{0x20, 0x30, 0x04}, std::tuple{0xa0, 0x38, 0x02}}) {
      out(port, 0x11);
      out(port + 1, base);
      out(port + 1, cascade);
      out(port + 1, 0x01);
      out(port + 1, 0x00);  // nothing masked
    }
  }
  void out(int port, int value) {
    bus_.write(static_cast<std::uint16_t>(port), 1, static_cast<std::uint32_t>(value));
  }
  unsigned in(int port) { return bus_.read(static_cast<std::uint16_t>(port), 1); }

  bool pin_ = false;
  PortBus bus_;
  Pic pic_{[this](bool high) { pin_ = high; }};
};

TEST_F(PicTest, DeliversTheLowestLineFirstAndHoldsTheRestBack) {
  pic_.set_line(4, true);
  pic_.set_line(1, true);
  EXPECT_TRUE(pin_);
  EXPECT_EQ(pic_.acknowledge(), 0x31);
  EXPECT_FALSE(pin_) << "line 4 waits until 1 has ended";
  out(0x20, 0x20);
  EXPECT_TRUE(pin_);
  EXPECT_EQ(pic_.acknowledge(), 0x34);
}

TEST_F(PicTest, TheSlaveComesThroughLineTwo) {
  pic_.set_line(9, true);
  EXPECT_EQ(pic_.acknowledge(), 0x39);
  out(0x20, 0x0b);
  EXPECT_EQ(in(0x20), 0x04U);
  out(0xa0, 0x20);
  out(0x20, 0x20);
  EXPECT_FALSE(pin_) << "the line's edge has been used up";
}

TEST_F(PicTest, ARequestThatGoesAwayIsSpurious) {
  pic_.set_line(5, true);
  pic_.set_line(5, false);
  EXPECT_FALSE(pin_);
  EXPECT_EQ(pic_.acknowledge(), 0x37);
  out(0x20, 0x0b);
  EXPECT_EQ(in(0x20), 0U) << "a spurious one is not in service";
}

TEST_F(PicTest, MasksAndLevels) {
  out(0x21, 0x20);
  pic_.set_line(5, true);
  EXPECT_FALSE(pin_);
  out(0x21, 0x00);
  EXPECT_TRUE(pin_);
  out(0x4d0, 0xff);
  EXPECT_EQ(in(0x4d0), 0xf8U) << "timer, keyboard and cascade stay edges";
  EXPECT_EQ(pic_.acknowledge(), 0x35);
  out(0x20, 0x65);  // this line's end; its level is still high
  EXPECT_TRUE(pin_);
}

TEST_F(PicTest, AutomaticEnd) {
  out(0x20, 0x11);
  out(0x21, 0x30);
  out(0x21, 0x04);
  out(0x21, 0x03);
  pic_.set_line(3, true);
  EXPECT_EQ(pic_.acknowledge(), 0x33);
  pic_.set_line(6, true);
  EXPECT_TRUE(pin_);
}

}  // namespace
}  // namespace berth::device
