#include "device/bus.hpp"

#include <gtest/gtest.h>

#include <map>

namespace berth::device {
namespace {

class Bytes final : public BytePortDevice {
 public:
  std::map<std::uint16_t, std::uint8_t> held;

 private:
  std::uint8_t read_byte(std::uint16_t port) override { return held[port]; }
  void write_byte(std::uint16_t port, std::uint8_t value) override { held[port] = value; }
};

class Echo final : public MmioDevice {
 public:
  std::uint64_t mmio_read(std::uint64_t offset, unsigned) override { return offset | 0xffffffff00000000; }
  void mmio_write(std::uint64_t offset, unsigned, std::uint64_t value) override {
    at = offset;
    last = value;
  }
  std::uint64_t at = 0, last = 0;
};

TEST(PortBus, SplitsWideAccessesForByteDevices) {
  PortBus bus;
  Bytes device;
  bus.attach(0x60, 8, device);
  bus.write(0x62, 4, 0x44332211);
  EXPECT_EQ(device.held[0x65], 0x44);
  EXPECT_EQ(bus.read(0x63, 2), 0x3322U);
}

TEST(PortBus, WhatNobodyAnswersReadsAsOnes) {
  PortBus bus;
  Bytes device;
  bus.attach(0xffff, 1, device);
  bus.attach(0, 1, device);
  EXPECT_EQ(bus.read(1, 1), 0xffU);
  EXPECT_EQ(bus.read(0xfffe, 4), 0xffffffffU);
  EXPECT_EQ(bus.read(0xffff, 1), 0U);
  bus.write(0x1234, 2, 5);  // goes nowhere
}

TEST(MmioBus, GivesOffsetsAndCutsToTheWidth) {
  MmioBus bus;
  Echo device;
  bus.attach(0xfec00000, 0x1000, device);
  EXPECT_EQ(bus.read(0xfec00010, 4), 0x10U);
  EXPECT_EQ(bus.read(0xfec00010, 8), 0xffffffff00000010U);
  bus.write(0xfec00fff, 1, 0x1ff);
  EXPECT_EQ(device.at, 0xfffU);
  EXPECT_EQ(device.last, 0xffU);
  EXPECT_EQ(bus.read(0xfec00fff, 2), 0xffffU) << "an access beyond the end is nobody's";
  EXPECT_EQ(bus.read(~std::uint64_t{0}, 8), ~std::uint64_t{0});
}

}  // namespace
}  // namespace berth::device
