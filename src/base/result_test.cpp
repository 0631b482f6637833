#include "base/result.hpp"

#include <gtest/gtest.h>

namespace berth {
namespace {

Result<int> half(int n) {
  if (n % 2 != 0) return fail(Code::InvalidArgument, "odd");
  return n / 2;
}
Result<void> check(int n) {
  if (n < 0) return fail_errno("cannot check", ENOENT);
  return {};
}
Result<int> quarter(int n) {
  TRY(check(n));
  return TRY(half(TRY_DURING("first half", half(n))));
}

TEST(Result, TryPassesValuesAndErrorsOn) {
  EXPECT_EQ(*quarter(8), 2);
  EXPECT_EQ(quarter(7).error().message, "first half: odd");
  EXPECT_EQ(quarter(6).error().message, "odd");
  EXPECT_EQ(quarter(-4).error().code, Code::NotFound);
  EXPECT_EQ(quarter(-4).error().message, "cannot check: No such file or directory");
}

TEST(Result, AssertAborts) { EXPECT_DEATH(BERTH_ASSERT(1 == 2), "1 == 2"); }

}  // namespace
}  // namespace berth
