#include "device/irq/local_apic.hpp"

#include <gtest/gtest.h>

#include "device/irq/io_apic.hpp"
#include "device/irq/recording.hpp"
#include "device/time/manual_timers.hpp"

namespace berth::device {
namespace {

constexpr std::uint64_t kHz = 2'000'000'000;

class ApicTest : public testing::Test {
 protected:
  void SetUp() override {
    for (LocalApic* apic : {&first_, &second_}) apic->write(0xf0, 0x1ff);
  }
  GuestTsc tsc() {
    return {kHz, [this] { return ticks_in(timers_.now_ns(), kHz); }};
  }
  void enable_x2() {
    for (LocalApic* apic : {&first_, &second_}) {
      std::uint64_t base = 0;
      ASSERT_TRUE(apic->read_msr(0x1b, base));
      ASSERT_TRUE(apic->write_msr(0x1b, base | 1 << 10));
    }
  }
  void set_pin(unsigned pin, std::uint64_t entry) {
    io_.mmio_write(0, 4, 0x11 + 2 * pin);
    io_.mmio_write(0x10, 4, entry >> 32);
    io_.mmio_write(0, 4, 0x10 + 2 * pin);
    io_.mmio_write(0x10, 4, entry & 0xffffffff);
  }
  std::uint64_t entry_of(unsigned pin) {
    io_.mmio_write(0, 4, 0x10 + 2 * pin);
    return io_.mmio_read(0x10, 4);
  }

  ManualTimers timers_;
  ApicBus bus_;
  RecordingOwner first_owner_, second_owner_;
  LocalApic first_{0, true, bus_, first_owner_, timers_, tsc()};
  LocalApic second_{1, false, bus_, second_owner_, timers_, tsc()};
  IoApic io_{bus_};
};

TEST_F(ApicTest, HigherClassesInterruptLowerOnes) {
  first_.deliver({.vector = 0x41});
  EXPECT_EQ(first_.take_interrupt(), 0x41);
  first_.deliver({.vector = 0x4f});
  EXPECT_FALSE(first_.interrupt_pending()) << "same class";
  first_.deliver({.vector = 0x51});
  EXPECT_EQ(first_.take_interrupt(), 0x51);
  first_.write(0xb0, 0);
  EXPECT_FALSE(first_.interrupt_pending());
  first_.write(0xb0, 0);
  EXPECT_EQ(first_.take_interrupt(), 0x4f);
}

TEST_F(ApicTest, TaskPriorityHoldsInterruptsBack) {
  first_.set_cr8(5);
  EXPECT_EQ(first_.read(0x80), 0x50U);
  first_.deliver({.vector = 0x5f});
  EXPECT_FALSE(first_.interrupt_pending());
  const int wakes = first_owner_.wakes;
  first_.set_cr8(4);
  EXPECT_GT(first_owner_.wakes, wakes) << "the processor has to look again";
  EXPECT_TRUE(first_.interrupt_pending());
}

TEST_F(ApicTest, DisabledBySoftwareTakesNothingAndMasksItsEntries) {
  first_.write(0x350, 0x700);
  EXPECT_TRUE(first_.passes_pic());
  first_.write(0xf0, 0xff);
  EXPECT_FALSE(first_.passes_pic());
  first_.deliver({.vector = 0x60});
  EXPECT_FALSE(first_.interrupt_pending());
}

TEST_F(ApicTest, SendsStartUpMessages) {
  first_.write(0x310, 1 << 24);
  first_.write(0x300, 0x4500);  // INIT, assert
  EXPECT_EQ(second_owner_.inits, 1);
  first_.write(0x300, 0x8500);  // INIT, deassert: nothing
  EXPECT_EQ(second_owner_.inits, 1);
  first_.write(0x300, 0x0608);
  EXPECT_EQ(second_owner_.startups, std::vector<std::uint8_t>{0x08});
  EXPECT_EQ(first_owner_.inits, 0);
}

TEST_F(ApicTest, ShorthandsReachSelfAllAndOthers) {
  first_.write(0x300, 1 << 18 | 0x40);
  EXPECT_TRUE(first_.interrupt_pending());
  EXPECT_FALSE(second_.interrupt_pending());
  first_.write(0x300, 3 << 18 | 0x50);
  EXPECT_EQ(first_.take_interrupt(), 0x40);
  EXPECT_EQ(second_.take_interrupt(), 0x50);
  second_.write(0x300, 2 << 18 | 0x70);
  EXPECT_EQ(first_.take_interrupt(), 0x70);
  EXPECT_EQ(second_.take_interrupt(), 0x70);
}

TEST_F(ApicTest, LogicalDestinations) {
  first_.write(0xd0, 0x01000000);
  second_.write(0xd0, 0x02000000);
  EXPECT_TRUE(second_.matches(3, true));
  EXPECT_FALSE(second_.matches(1, true));
  second_.write(0xe0, 0x0fffffff);  // clusters
  second_.write(0xd0, 0x21000000);
  EXPECT_TRUE(second_.matches(0x23, true));
  EXPECT_FALSE(second_.matches(0x13, true));
  enable_x2();
  EXPECT_TRUE(second_.matches(2, true));
  EXPECT_FALSE(second_.matches(0x10002, true));
}

TEST_F(ApicTest, X2ApicSpeaksByRegistersAlone) {
  std::uint64_t value = 0;
  EXPECT_FALSE(first_.read_msr(0x802, value)) << "not while it is an xAPIC";
  enable_x2();
  EXPECT_FALSE(first_.memory_mapped());
  EXPECT_TRUE(first_.write_msr(0x830, std::uint64_t{1} << 32 | 0x45));
  EXPECT_EQ(second_.take_interrupt(), 0x45);
  EXPECT_TRUE(first_.write_msr(0x83f, 0x46));
  EXPECT_EQ(first_.take_interrupt(), 0x46);
  EXPECT_FALSE(first_.write_msr(0x80b, 1)) << "EOI takes zero alone";
  EXPECT_FALSE(first_.write_msr(0x802, 0)) << "the id is read-only";
  EXPECT_FALSE(first_.read_msr(0x80e, value)) << "there is no DFR";
  ASSERT_TRUE(first_.read_msr(0x1b, value));
  EXPECT_FALSE(first_.write_msr(0x1b, value & ~std::uint64_t{1 << 10})) << "not straight back to xAPIC";
}

TEST_F(ApicTest, IllegalVectorsAreErrors) {
  first_.write(0x370, 0xfe);
  first_.write(0x300, 1 << 18 | 0x05);
  EXPECT_EQ(first_.take_interrupt(), 0xfe);
  first_.write(0x280, 0);
  EXPECT_EQ(first_.read(0x280), 1U << 5);
}

TEST_F(ApicTest, OneShotTimerCountsDownOnce) {
  first_.write(0x3e0, 0x3);  // by 16
  first_.write(0x320, 0x30);
  first_.write(0x380, 1000);
  timers_.advance(8'000);
  EXPECT_EQ(first_.read(0x390), 500U);
  EXPECT_FALSE(first_.interrupt_pending());
  timers_.advance(8'000);
  EXPECT_EQ(first_.take_interrupt(), 0x30);
  EXPECT_EQ(first_.read(0x390), 0U);
  EXPECT_EQ(timers_.armed(), 0U);
}

TEST_F(ApicTest, PeriodicTimerGoesOnAndStops) {
  first_.write(0x3e0, 0xb);
  first_.write(0x320, 0x20030);
  first_.write(0x380, 1'000'000);
  for (int i = 0; i < 3; ++i) {
    timers_.advance(1'000'000);
    EXPECT_EQ(first_.take_interrupt(), 0x30) << i;
    first_.write(0xb0, 0);
  }
  first_.write(0x380, 0);
  timers_.advance(10'000'000);
  EXPECT_FALSE(first_.interrupt_pending());
}

TEST_F(ApicTest, DeadlineTimerFiresAtItsTscAndClears) {
  first_.write(0x320, 0x40031);
  std::uint64_t value = 0;
  EXPECT_TRUE(first_.write_msr(0x6e0, ticks_in(timers_.now_ns(), kHz) + 2'000'000));
  timers_.advance(999'000);
  EXPECT_FALSE(first_.interrupt_pending());
  timers_.advance(1'001);
  EXPECT_EQ(first_.take_interrupt(), 0x31);
  EXPECT_TRUE(first_.read_msr(0x6e0, value));
  EXPECT_EQ(value, 0U);
  first_.write(0xb0, 0);
  EXPECT_TRUE(first_.write_msr(0x6e0, 1));  // long past
  timers_.advance(0);
  EXPECT_EQ(first_.take_interrupt(), 0x31);
  EXPECT_TRUE(first_.write_msr(0x6e0, ~std::uint64_t{0}));  // never, for all practical purposes
  EXPECT_TRUE(first_.write_msr(0x6e0, 0));
  EXPECT_EQ(timers_.armed(), 0U);
}

TEST_F(ApicTest, LevelInterruptsComeAgainUntilTheLineFalls) {
  set_pin(9, 0x8000 | 0x61);  // level, physical destination 0
  io_.set_pin(9, true);
  EXPECT_EQ(first_.take_interrupt(), 0x61);
  EXPECT_NE(entry_of(9) & 1 << 14, 0U) << "remote IRR";
  first_.write(0xb0, 0);
  EXPECT_EQ(first_.take_interrupt(), 0x61) << "still asserted";
  io_.set_pin(9, false);
  first_.write(0xb0, 0);
  EXPECT_FALSE(first_.interrupt_pending());
  EXPECT_EQ(entry_of(9) & 1 << 14, 0U);
}

TEST_F(ApicTest, EdgesOfMaskedPinsAreLostAndLevelsAreNot) {
  set_pin(4, 0x10000 | 0x44);
  io_.set_pin(4, true);
  set_pin(4, 0x44);
  EXPECT_FALSE(first_.interrupt_pending());
  set_pin(5, 0x18000 | 0x45);
  io_.set_pin(5, true);
  set_pin(5, 0x08045);
  EXPECT_EQ(first_.take_interrupt(), 0x45);
}

TEST_F(ApicTest, MessagesReachTheirProcessor) {
  bus_.signal(0xfee01000, 0x4055);
  EXPECT_FALSE(first_.interrupt_pending());
  EXPECT_EQ(second_.take_interrupt(), 0x55);
  bus_.signal(0x12345000, 0x4056);
  EXPECT_FALSE(second_.interrupt_pending());
}

TEST_F(ApicTest, StateRoundTrips) {
  first_.deliver({.vector = 0x41});
  ASSERT_TRUE(first_.take_interrupt());
  first_.deliver({.vector = 0x81, .level = true});
  first_.write(0x320, 0x20030);
  first_.write(0x380, 1'000'000);
  const LocalApicState state = first_.save();
  second_.restore(state);
  timers_.advance(0);
  EXPECT_EQ(second_.take_interrupt(), 0x81);
  EXPECT_EQ(second_.read(0x380), 1'000'000U);
}

}  // namespace
}  // namespace berth::device
