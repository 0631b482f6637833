#include "device/legacy/serial.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "device/irq/recording.hpp"

namespace berth::device {
namespace {

class SerialTest : public testing::Test {
 protected:
  std::uint8_t read(unsigned reg) { return static_cast<std::uint8_t>(port().port_read(at(reg), 1)); }
  void write(unsigned reg, std::uint8_t value) { port().port_write(at(reg), 1, value); }
  bool line() { return lines_.level[kCom1Irq]; }
  PortDevice& port() { return serial_; }
  static std::uint16_t at(unsigned reg) { return static_cast<std::uint16_t>(kCom1 + reg); }

  RecordingLines lines_;
  std::string sent_;
  int rooms_ = 0;
  Serial serial_{kCom1,
                 {lines_, kCom1Irq},
                 {[this](std::uint8_t byte) { sent_ += static_cast<char>(byte); }, [this] { ++rooms_; }}};
};

TEST_F(SerialTest, SendsAndIsReadyAgain) {
  for (const char c : std::string("hi")) write(0, static_cast<std::uint8_t>(c));
  EXPECT_EQ(sent_, "hi");
  EXPECT_EQ(read(5) & 0x60, 0x60);
}

TEST_F(SerialTest, EachByteSentIsAnEdgeOfTheEmptyInterrupt) {
  write(4, 0x08);
  write(1, 0x02);
  EXPECT_TRUE(line());
  EXPECT_EQ(read(2), 0x02);
  EXPECT_FALSE(line()) << "reading the identification takes it back";
  write(0, 'a');
  write(0, 'b');
  EXPECT_EQ(lines_.rises[kCom1Irq], 3);
}

TEST_F(SerialTest, WithoutOut2TheLineIsCutOff) {
  write(1, 0x02);
  EXPECT_FALSE(line());
  EXPECT_EQ(read(2), 0x02);
}

TEST_F(SerialTest, ReceivesOneByteWithoutFifoAndSixteenWith) {
  const std::vector<std::uint8_t> bytes(20, 'x');
  EXPECT_EQ(serial_.receive(bytes), 1U);
  write(2, 0x07);
  EXPECT_EQ(serial_.receive(bytes), 16U);
  EXPECT_EQ(serial_.receive(bytes), 0U);
  for (int i = 0; i < 15; ++i) EXPECT_EQ(read(0), 'x');
  EXPECT_EQ(rooms_, 0);
  EXPECT_EQ(read(0), 'x');
  EXPECT_EQ(rooms_, 1);
  EXPECT_EQ(read(5) & 1, 0);
}

TEST_F(SerialTest, TellsFullFifoFromTimeout) {
  write(4, 0x08);
  write(2, 0x81);  // trigger at 8
  write(1, 0x01);
  const std::vector<std::uint8_t> bytes(8, 'x');
  serial_.receive(std::span(bytes).first(1));
  EXPECT_EQ(read(2), 0xcc);
  serial_.receive(std::span(bytes).first(7));
  EXPECT_EQ(read(2), 0xc4);
  EXPECT_TRUE(line());
}

TEST_F(SerialTest, LoopbackTurnsBytesAndModemLinesRound) {
  write(4, 0x10 | 0x0a);
  write(0, 'L');
  EXPECT_EQ(sent_, "");
  EXPECT_EQ(read(0), 'L');
  EXPECT_EQ(read(6) & 0xf0, 0x90) << "RTS comes back as CTS, OUT2 as carrier";
  EXPECT_EQ(serial_.receive(std::vector<std::uint8_t>{'x'}), 0U);
}

TEST_F(SerialTest, DivisorLatchHidesDataAndInterruptEnable) {
  write(3, 0x83);
  write(0, 0x01);
  write(1, 0x02);
  EXPECT_EQ(sent_, "");
  EXPECT_EQ(read(0), 0x01);
  EXPECT_EQ(read(1), 0x02);
  write(3, 0x03);
  EXPECT_EQ(read(1), 0x00);
}

TEST_F(SerialTest, StateRoundTripsWithItsInterrupt) {
  write(4, 0x08);
  write(1, 0x01);
  serial_.receive(std::vector<std::uint8_t>{'q'});
  const SerialState state = serial_.save();
  RecordingLines lines;
  Serial copy(kCom1, {lines, kCom1Irq}, {});
  copy.restore(state);
  EXPECT_TRUE(lines.level[kCom1Irq]);
  EXPECT_EQ(static_cast<PortDevice&>(copy).port_read(kCom1, 1), std::uint32_t{'q'});
}

}  // namespace
}  // namespace berth::device
