// processor_judge CASES [SEED]: tries so many cases and tells of each disagreement; ends with 1 where there
// was one.
#include <fmt/core.h>

#include <array>
#include <cstdio>
#include <cstdlib>

#include "generator.hpp"
#include "judge.hpp"

namespace {

using namespace berth;

constexpr unsigned kMostShown = 400;

int judge_cases(std::uint64_t cases, std::uint64_t seed) {
  auto judge = judge::Judge::create();
  if (!judge) {
    fmt::print(stderr, "processor_judge: {}\n", judge.error().message);
    return 2;
  }
  const judge::Generator generator;
  auto what = std::make_unique<judge::Case>();
  std::array<std::uint64_t, 32> vectors{};
  std::uint64_t agreed = 0, disagreed = 0, skipped = 0;
  for (std::uint64_t number = 0; agreed + disagreed < cases; ++number) {
    judge::Randomness random(seed + number);
    generator.make(random, *what);
    const auto verdict = (*judge)->run(*what);
    if (verdict == judge::Judge::Verdict::NotTried) {
      ++skipped;
      continue;
    }
    ++vectors[(*judge)->vector() % vectors.size()];
    if (verdict == judge::Judge::Verdict::Agreed) {
      ++agreed;
    } else if (++disagreed <= kMostShown) {
      fmt::print("seed {}\n{}{}\n", seed + number, judge::describe(*what), (*judge)->difference());
    }
  }
  fmt::print("{} cases agreed, {} did not, {} not tried; they ended by", agreed, disagreed, skipped);
  for (std::size_t vector = 0; vector < vectors.size(); ++vector) {
    if (vectors[vector] != 0) fmt::print(" #{}: {}", vector, vectors[vector]);
  }
  fmt::print("\n");
  return disagreed == 0 ? 0 : 1;
}

}  // namespace

int main(int count, char** words) {
  if (count < 2) {
    fmt::print(stderr, "usage: processor_judge CASES [SEED]\n");
    return 2;
  }
  return judge_cases(std::strtoull(words[1], nullptr, 10),
                     count > 2 ? std::strtoull(words[2], nullptr, 10) : 1);
}
