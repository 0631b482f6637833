#include "device/pci/host.hpp"

#include <gtest/gtest.h>

#include "device/irq/recording.hpp"

namespace berth::device {
namespace {

class Counter final : public PciFunction {
 public:
  Counter() : PciFunction({.vendor = 0x1234, .device = 0x5678, .class_code = 0xff0000}) {
    add_bar(0, 0x4000);
  }
  std::uint64_t bar_read(unsigned bar, std::uint64_t offset, unsigned) override { return bar << 16 | offset; }
  void bar_write(unsigned, std::uint64_t offset, unsigned, std::uint64_t value) override {
    last = {offset, value};
  }
  std::pair<std::uint64_t, std::uint64_t> last;
};

class PciTest : public testing::Test {
 protected:
  void SetUp() override {
    host_.attach(ports_, memory_);
    ASSERT_TRUE(host_.add(function_));
  }
  std::uint32_t config(std::uint32_t offset) {
    ports_.write(0xcf8, 4, 0x80000800 | offset);
    return ports_.read(0xcfc, 4);
  }
  void set_config(std::uint32_t offset, std::uint32_t value) {
    ports_.write(0xcf8, 4, 0x80000800 | offset);
    ports_.write(0xcfc, 4, value);
  }
  PortBus ports_;
  MmioBus memory_;
  RecordingEnd ends_;
  PciHost host_{ends_};
  Counter function_;
};

TEST_F(PciTest, BothWaysOfConfigurationShowTheSame) {
  EXPECT_EQ(config(0), 0x56781234U);
  EXPECT_EQ(memory_.read(kEcamBase + 0x8000, 4), 0x56781234U);
  EXPECT_EQ(memory_.read(kEcamBase + 0x8002, 2), 0x5678U);
  EXPECT_EQ(memory_.read(kEcamBase + 0x10000, 4), 0xffffffffU) << "no such device";
  EXPECT_EQ(memory_.read(kEcamBase + 0x9000, 4), 0xffffffffU) << "no such function";
  EXPECT_EQ(memory_.read(kEcamBase + 0x8fff, 4), 0xffffffffU) << "beyond the function's space";
}

TEST_F(PciTest, SizingAndMovingAWindow) {
  set_config(4, 2);
  EXPECT_EQ(memory_.read(0xc0000010, 4), 0x10U) << "placed as by firmware";
  set_config(0x10, 0xffffffff);
  EXPECT_EQ(config(0x10), 0xffffc004U);
  set_config(0x10, 0xc8000000);
  EXPECT_EQ(memory_.read(0xc0000010, 4), 0xffffffffU);
  memory_.write(0xc8003ffc, 4, 7);
  EXPECT_EQ(function_.last, (std::pair<std::uint64_t, std::uint64_t>{0x3ffc, 7}));
  EXPECT_EQ(memory_.read(0xc8003ffe, 4), 0xffffffffU) << "half outside";
  set_config(4, 0);
  EXPECT_EQ(memory_.read(0xc8000000, 4), 0xffffffffU) << "decoding is off";
}

TEST_F(PciTest, AWindowAtTheTopOfTheAddressSpaceWrapsNowhere) {
  set_config(0x14, 0xffffffff);
  set_config(0x10, 0xffffffff);
  set_config(4, 2);
  EXPECT_EQ(memory_.read(0xc0000000, 4), 0xffffffffU);
}

TEST_F(PciTest, IdentityIsReadOnly) {
  set_config(0, 0);
  set_config(8, 0);
  EXPECT_EQ(config(0), 0x56781234U);
  EXPECT_EQ(config(8), 0xff000000U);
  ports_.write(0xcf8, 4, 0x80010000);  // another bus
  EXPECT_EQ(ports_.read(0xcfc, 4), 0xffffffffU);
}

}  // namespace
}  // namespace berth::device
