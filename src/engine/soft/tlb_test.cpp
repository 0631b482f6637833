#include "engine/soft/tlb.hpp"

#include <gtest/gtest.h>

#include <memory>

namespace berth::engine::soft {
namespace {

constexpr std::uint64_t kPage = 0x7f0000401000, kOther = 0x7f0000402000;
constexpr std::uint64_t kKernel = 0xffffffff81003000;
const std::byte kCode{};

class TlbTest : public testing::Test {
 protected:
  void map(std::uint64_t linear, bool global = false, std::uint8_t page_shift = 12) {
    tlb_->set_origin({.physical = linear, .linear = linear, .page_shift = page_shift, .global = global});
    tlb_->at(linear).read = linear;
  }
  bool knows(std::uint64_t linear) const { return tlb_->at(linear).read == linear; }
  void jump_to(std::uint64_t rip, bool global = false) { tlb_->remember_jump(rip, &kCode, global); }
  bool jumps_to(std::uint64_t rip) const { return tlb_->jumps[Tlb::jump_index(rip)].rip == rip; }

  const std::unique_ptr<Tlb> tlb_ = std::make_unique<Tlb>();
};

TEST_F(TlbTest, GlobalPagesAndJumpsOutliveAnotherCr3) {
  map(kPage);
  map(kKernel, true);
  jump_to(kPage + 1);
  jump_to(kKernel + 2, true);
  tlb_->flush(false);
  EXPECT_FALSE(knows(kPage) || jumps_to(kPage + 1));
  EXPECT_TRUE(knows(kKernel) && jumps_to(kKernel + 2));
  tlb_->flush(true);
  EXPECT_FALSE(knows(kKernel) || jumps_to(kKernel + 2));
}

TEST_F(TlbTest, APlaceThatChangesFromGlobalToLocalGoesWithCr3) {
  map(kPage, true);
  map(kPage, false);
  jump_to(kPage, true);
  jump_to(kPage, false);
  tlb_->flush(false);
  EXPECT_FALSE(knows(kPage) || jumps_to(kPage));
}

TEST_F(TlbTest, OnePageGoesWithTheJumpsIntoIt) {
  map(kPage);
  map(kOther);
  jump_to(kPage + 5);
  tlb_->flush_page(kOther + 8, false);
  EXPECT_TRUE(knows(kPage) && jumps_to(kPage + 5));
  EXPECT_FALSE(knows(kOther));
  tlb_->flush_page(kPage + 8, false);
  EXPECT_FALSE(knows(kPage) || jumps_to(kPage + 5));
}

TEST_F(TlbTest, JumpsIntoOnePageDoNotHideThoseIntoAnother) {
  const std::uint64_t other = kPage + (std::uint64_t{Tlb::kJumpPages} << 12);
  jump_to(kPage + 5);
  jump_to(other + 0x123);
  tlb_->flush_page(kPage, false);
  EXPECT_TRUE(jumps_to(other + 0x123));
  tlb_->flush_page(other, false);
  EXPECT_FALSE(jumps_to(other + 0x123));
}

TEST_F(TlbTest, AGlobalJumpIsForgottenByItsPageAfterAnotherCr3) {
  jump_to(kKernel, true);
  tlb_->flush(false);
  tlb_->flush_page(kKernel, false);
  EXPECT_FALSE(jumps_to(kKernel));
}

TEST_F(TlbTest, AllOfALargePageGoes) {
  map(kPage, false, 21);
  map(kOther, false, 21);
  map(kKernel, true);
  jump_to(kOther);
  tlb_->flush_page(kPage + 0x1ff00, true);
  EXPECT_FALSE(knows(kPage) || knows(kOther) || jumps_to(kOther));
  EXPECT_TRUE(knows(kKernel));
}

TEST(LargePages, CoverWhatTheyWereSeenAt) {
  LargePages pages;
  EXPECT_FALSE(pages.may_cover(kPage));
  pages.note(kPage, 21);
  EXPECT_TRUE(pages.may_cover(kPage & ~std::uint64_t{0x1fffff}) && pages.may_cover(kPage | 0x1fffff));
  EXPECT_FALSE(pages.may_cover((kPage | 0x1fffff) + 1));
  pages.clear();
  EXPECT_FALSE(pages.may_cover(kPage));
}

}  // namespace
}  // namespace berth::engine::soft
