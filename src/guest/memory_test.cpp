#include "guest/memory.hpp"

#include <gtest/gtest.h>

#include <array>
#include <limits>

namespace berth::guest {
namespace {

constexpr std::uint64_t kMiB = std::uint64_t{1} << 20;
constexpr std::uint64_t kGiB = std::uint64_t{1} << 30;

TEST(GuestMemory, RefusesSizesItCannotLayOut) {
  for (const std::uint64_t bytes : {std::uint64_t{0}, kMiB, 3 * kMiB + 1, std::uint64_t{1} << 41})
    EXPECT_EQ(GuestMemory::create(bytes).error().code, Code::InvalidArgument) << bytes;
}

TEST(GuestMemory, LeavesTheHoleBelowFourGigabytesToDevices) {
  const auto memory = GuestMemory::create(4 * kGiB);
  ASSERT_TRUE(memory) << memory.error().message;
  ASSERT_EQ(memory->regions().size(), 2U);
  EXPECT_EQ(value(memory->regions()[1].start), 4 * kGiB);
  EXPECT_TRUE(memory->at(Gpa{3 * kGiB}, 1).empty());
  EXPECT_TRUE(memory->at(Gpa{3 * kGiB - 1}, 2).empty());
  EXPECT_EQ(memory->at(Gpa{4 * kGiB}, 1).data(), memory->base() + 3 * kGiB);
  EXPECT_EQ(memory->at(Gpa{5 * kGiB - 1}, 1).size(), 1U);
  EXPECT_TRUE(memory->at(Gpa{5 * kGiB}, 1).empty());
}

TEST(GuestMemory, RangesThatWrapAreNotRam) {
  const auto memory = GuestMemory::create(2 * kMiB);
  ASSERT_TRUE(memory);
  constexpr auto kMax = std::numeric_limits<std::uint64_t>::max();
  EXPECT_TRUE(memory->at(Gpa{1}, kMax).empty());
  EXPECT_TRUE(memory->at(Gpa{kMax}, 2).empty());
  EXPECT_TRUE(memory->at(Gpa{2 * kMiB - 4}, 8).empty());
}

TEST(GuestMemory, WhatIsWrittenIsRead) {
  const auto memory = GuestMemory::create(2 * kMiB);
  ASSERT_TRUE(memory);
  const std::array<std::byte, 4> data{std::byte{1}, std::byte{2}, std::byte{3}, std::byte{4}};
  std::array<std::byte, 4> back{};
  ASSERT_TRUE(memory->write(Gpa{2 * kMiB - 4}, data));
  ASSERT_TRUE(memory->read(Gpa{2 * kMiB - 4}, back));
  EXPECT_EQ(back, data);
  ASSERT_TRUE(memory->load(Gpa{4096}, data));
  ASSERT_TRUE(memory->read(Gpa{4096}, back));
  EXPECT_EQ(back, data);
  EXPECT_EQ(memory->load(Gpa{2 * kMiB - 3}, data).error().code, Code::OutOfRange);
  EXPECT_EQ(memory->write(Gpa{2 * kMiB - 3}, data).error().code, Code::OutOfRange);
  EXPECT_EQ(memory->read(Gpa{2 * kMiB - 3}, back).error().code, Code::OutOfRange);
}

}  // namespace
}  // namespace berth::guest
