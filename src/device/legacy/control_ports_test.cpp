#include "device/legacy/control_ports.hpp"

#include <gtest/gtest.h>

#include "device/acpi/power.hpp"
#include "device/irq/recording.hpp"
#include "device/legacy/rtc.hpp"
#include "device/pci/host.hpp"
#include "device/time/manual_timers.hpp"

namespace berth::device {
namespace {

class ControlPorts : public testing::Test {
 protected:
  void expect_one(EndKind kind, std::uint32_t code = 0) {
    ASSERT_EQ(ends_.ends.size(), 1U);
    EXPECT_EQ(ends_.ends[0].kind, kind);
    EXPECT_EQ(ends_.ends[0].code, code);
  }
  PortBus bus_;
  MmioBus memory_;
  RecordingEnd ends_;
  RecordingLines lines_;
  ManualTimers timers_;
};

TEST_F(ControlPorts, KeyboardControllerResets) {
  KeyboardController device(ends_);
  device.attach(bus_);
  bus_.write(0x60, 1, 0xfe);
  bus_.write(0x64, 1, 0xd1);
  EXPECT_TRUE(ends_.ends.empty());
  bus_.write(0x64, 1, 0xfe);
  expect_one(EndKind::Reset);
}

TEST_F(ControlPorts, ResetRegisterNeedsItsCpuBit) {
  PciHost host(ends_);
  host.attach(bus_, memory_);
  bus_.write(0xcf9, 1, 0x02);
  EXPECT_TRUE(ends_.ends.empty());
  bus_.write(0xcf9, 1, 0x06);
  expect_one(EndKind::Reset);
}

TEST_F(ControlPorts, DebugExitPassesItsCode) {
  DebugExit device(ends_);
  device.attach(bus_);
  bus_.write(0xf4, 4, 0x12345678);
  expect_one(EndKind::DebugExit, 0x12345678);
}

TEST_F(ControlPorts, PanicIsTold) {
  PanicPort device(ends_);
  device.attach(bus_);
  EXPECT_EQ(bus_.read(PanicPort::kPort, 1), 1U);
  bus_.write(PanicPort::kPort, 1, 2);
  EXPECT_TRUE(ends_.ends.empty());
  bus_.write(PanicPort::kPort, 1, 1);
  expect_one(EndKind::Panic);
}

TEST_F(ControlPorts, SleepTypeFivePowersOffAndTheButtonInterrupts) {
  Power power(timers_, {lines_, kSciIrq}, ends_);
  power.attach(bus_);
  EXPECT_EQ(bus_.read(kPm1Control, 2) & 1, 1U) << "ACPI mode";
  bus_.write(kPm1Event + 2, 2, 1 << 8);
  power.press_power_button();
  EXPECT_TRUE(lines_.level[kSciIrq]);
  EXPECT_EQ(bus_.read(kPm1Event, 2), 1U << 8);
  bus_.write(kPm1Event, 2, 1 << 8);
  EXPECT_FALSE(lines_.level[kSciIrq]);
  bus_.write(kPm1Control, 2, 1 << 13 | 3 << 10);
  EXPECT_TRUE(ends_.ends.empty()) << "another sleep type";
  bus_.write(kPm1Control, 2, 1 << 13 | kSleepTypeOff << 10);
  expect_one(EndKind::PowerOff);
}

TEST_F(ControlPorts, PmTimerCountsAtItsRate) {
  Power power(timers_, {lines_, kSciIrq}, ends_);
  power.attach(bus_);
  const std::uint32_t before = bus_.read(kPmTimer, 4);
  timers_.advance(1'000'000'000);
  EXPECT_NEAR(static_cast<double>(bus_.read(kPmTimer, 4) - before), 3579545.0, 1.0);
}

TEST(Rtc, TellsAndTakesTime) {
  PortBus bus;
  std::int64_t now = 951'868'799;  // 2000-02-29 23:59:59
  Rtc rtc([&] { return now; });
  rtc.attach(bus);
  const auto get = [&](std::uint32_t reg) {
    bus.write(0x70, 1, reg);
    return bus.read(0x71, 1);
  };
  const auto set = [&](std::uint32_t reg, std::uint32_t value) {
    bus.write(0x70, 1, reg);
    bus.write(0x71, 1, value);
  };
  EXPECT_EQ(get(8), 0x02U);
  EXPECT_EQ(get(7), 0x29U);
  EXPECT_EQ(get(4), 0x23U);
  EXPECT_EQ(get(0x32), 0x20U);
  now += 1;
  EXPECT_EQ(get(8), 0x03U);
  EXPECT_EQ(get(7), 0x01U);
  EXPECT_EQ(get(4), 0x00U);
  set(0x0b, 0x04);  // binary, 12 hours
  set(4, 0x80 | 11);
  EXPECT_EQ(get(4), 0x80U | 11U);
  now += 3600;
  EXPECT_EQ(get(4), 12U) << "midnight";
  set(0x40, 0xab);
  EXPECT_EQ(get(0xc0), 0xabU) << "bit 7 of the index is not part of it";
}

}  // namespace
}  // namespace berth::device
