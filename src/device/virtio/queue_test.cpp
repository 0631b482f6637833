#include "device/virtio/queue.hpp"

#include <gtest/gtest.h>

#include "device/virtio/driver_fixture.hpp"

namespace berth::device {
namespace {

constexpr std::uint64_t kBuffers = DriverRing::kBuffers;

class QueueTest : public testing::Test {
 protected:
  void SetUp() override { queue_.state() = ring_.state(); }
  guest::GuestMemory memory_ = *guest::GuestMemory::create(std::uint64_t{2} << 20);
  DriverRing ring_{memory_, 4};
  Queue queue_{memory_};
  Chain chain_;
};

TEST_F(QueueTest, GivesChainsInOrderAndBack) {
  ring_.offer({{kBuffers, 16, false}, {kBuffers + 0x100, 8, true}});
  ring_.offer({{kBuffers + 0x200, 4, true}}, 2);
  ASSERT_EQ(queue_.pop(chain_), Queue::Pop::Chain);
  EXPECT_EQ(chain_.readable_bytes(), 16U);
  EXPECT_EQ(chain_.writable_bytes(), 8U);
  EXPECT_TRUE(queue_.push(chain_, 8));
  ASSERT_EQ(queue_.pop(chain_), Queue::Pop::Chain);
  EXPECT_EQ(chain_.head, 2);
  EXPECT_TRUE(queue_.push(chain_, 4));
  EXPECT_EQ(queue_.pop(chain_), Queue::Pop::Empty);
  EXPECT_EQ(ring_.used(), 2);
  EXPECT_EQ(ring_.used_head(1), 2U);
  EXPECT_EQ(ring_.used_bytes(1), 4U);
}

TEST_F(QueueTest, TellsOfWhatADeviceWroteBeforeTheGuestSeesIt) {
  std::vector<std::pair<std::uint64_t, std::uint64_t>> told;
  const guest::WriteListener listener = [&](guest::Gpa address, std::uint64_t bytes) {
    EXPECT_EQ(ring_.used(), 0);
    told.emplace_back(value(address), bytes);
  };
  Queue queue(memory_, &listener);
  queue.state() = ring_.state();
  ring_.offer({{kBuffers, 16, false}, {kBuffers + 0x100, 8, true}, {kBuffers + 0x300, 1, true}});
  ASSERT_EQ(queue.pop(chain_), Queue::Pop::Chain);
  EXPECT_TRUE(queue.push(chain_, 9));
  const std::vector<std::pair<std::uint64_t, std::uint64_t>> expected = {{kBuffers + 0x100, 8},
                                                                         {kBuffers + 0x300, 1}};
  EXPECT_EQ(told, expected);
}

TEST_F(QueueTest, ReadsAndWritesAcrossBuffers) {
  ring_.put(kBuffers, std::uint32_t{0x44332211});
  ring_.put(kBuffers + 0x100, std::uint32_t{0x88776655});
  ring_.offer({{kBuffers, 4, false},
               {kBuffers + 0x100, 4, false},
               {kBuffers + 0x200, 1, true},
               {kBuffers + 0x300, 9, true}});
  ASSERT_EQ(queue_.pop(chain_), Queue::Pop::Chain);
  std::uint32_t middle = 0;
  EXPECT_EQ(chain_.read(std::as_writable_bytes(std::span(&middle, 1)), 2), 4U);
  EXPECT_EQ(middle, 0x66554433U);
  EXPECT_EQ(chain_.write(std::as_bytes(std::span(&middle, 1))), 4U);
  EXPECT_EQ(ring_.get<std::uint8_t>(kBuffers + 0x200), 0x33);
  EXPECT_EQ(ring_.get<std::uint8_t>(kBuffers + 0x302), 0x66);
  EXPECT_EQ(chain_.write(std::as_bytes(std::span(&middle, 1)), 8), 2U) << "no further than there is room";
}

TEST_F(QueueTest, FollowsAnIndirectTable) {
  ring_.describe(0x5000, 0, kBuffers, 4, 1, 1);
  ring_.describe(0x5000, 1, kBuffers + 0x100, 4, 2, 0);
  ring_.describe(DriverRing::kDescriptors, 3, 0x5000, 32, 4, 0);
  ring_.offer_head(3);
  ASSERT_EQ(queue_.pop(chain_), Queue::Pop::Chain);
  EXPECT_EQ(chain_.readable.size(), 1U);
  EXPECT_EQ(chain_.writable.size(), 1U);
}

TEST_F(QueueTest, WhatBreaksTheRulesBreaksTheQueue) {
  const auto broken = [&](auto prepare) {
    DriverRing ring(memory_, 4);
    ring.put(DriverRing::kAvailable + 2, std::uint16_t{0});
    queue_.state() = ring.state();
    prepare(ring);
    return queue_.pop(chain_) == Queue::Pop::Broken;
  };
  constexpr std::uint64_t kTable = DriverRing::kDescriptors;
  EXPECT_TRUE(broken([&](DriverRing& ring) {  // a loop
    ring.describe(kTable, 0, kBuffers, 4, 1, 1);
    ring.describe(kTable, 1, kBuffers, 4, 1, 0);
    ring.offer_head(0);
  }));
  EXPECT_TRUE(broken([&](DriverRing& ring) { ring.offer_head(4); })) << "no such descriptor";
  EXPECT_TRUE(broken([&](DriverRing& ring) {
    ring.offer({{std::uint64_t{2} << 20, 1, false}});
  })) << "not RAM";
  EXPECT_TRUE(broken([&](DriverRing& ring) { ring.offer({{~std::uint64_t{0} - 3, 8, false}}); })) << "wraps";
  EXPECT_TRUE(broken([&](DriverRing& ring) { ring.offer({{kBuffers, 4, true}, {kBuffers, 4, false}}); }));
  EXPECT_TRUE(broken([&](DriverRing& ring) {  // a table in a table
    ring.describe(0x5000, 0, 0x5000, 16, 4, 0);
    ring.describe(kTable, 0, 0x5000, 16, 4, 0);
    ring.offer_head(0);
  }));
  EXPECT_TRUE(broken([&](DriverRing& ring) {  // a table of one and a half
    ring.describe(kTable, 0, 0x5000, 24, 4, 0);
    ring.offer_head(0);
  }));
  EXPECT_TRUE(broken([&](DriverRing& ring) { ring.put(DriverRing::kAvailable + 2, std::uint16_t{5}); }))
      << "more requests than the queue holds";
  EXPECT_TRUE(broken([&](DriverRing&) { queue_.state().available = 0x2001; })) << "not aligned";
  EXPECT_TRUE(broken([&](DriverRing&) { queue_.state().descriptors = ~std::uint64_t{0}; }));
}

TEST_F(QueueTest, TheDriverMaySilenceInterrupts) {
  EXPECT_TRUE(queue_.wants_interrupt());
  ring_.put(DriverRing::kAvailable, std::uint16_t{1});
  EXPECT_FALSE(queue_.wants_interrupt());
}

}  // namespace
}  // namespace berth::device
