// The software engine against the processor that the test runs on. `processor_judge` tries more.
#include <gtest/gtest.h>

#include "generator.hpp"
#include "judge.hpp"

namespace berth::judge {
namespace {

constexpr unsigned kCases = 10000;
constexpr std::uint64_t kSeed = 20261123;

TEST(Processor, AgreesWithInterpreterAndTranslator) {
  if (!__builtin_cpu_supports("avx2")) GTEST_SKIP() << "needs a processor with AVX2";
  auto judge = Judge::create();
  ASSERT_TRUE(judge) << judge.error().message;
  const Generator generator;
  const auto what = std::make_unique<Case>();
  unsigned tried = 0;
  for (std::uint64_t number = 0; tried < kCases && number < 4 * kCases; ++number) {
    Randomness random(kSeed + number);
    generator.make(random, *what);
    const Judge::Verdict verdict = (*judge)->run(*what);
    ASSERT_NE(verdict, Judge::Verdict::Disagreed) << "seed " << kSeed + number << "\n"
                                                  << describe(*what) << (*judge)->difference();
    if (verdict == Judge::Verdict::Agreed) ++tried;
  }
  EXPECT_EQ(tried, kCases);
}

}  // namespace
}  // namespace berth::judge
