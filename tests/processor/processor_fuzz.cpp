// Cases drawn from the fuzzer's bytes, on this processor and on both of the engine's tiers.
#include <fmt/core.h>

#include <cstdlib>

#include "generator.hpp"
#include "judge.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace berth::judge;
  static const Generator generator;
  static auto judge = Judge::create();
  static const auto what = std::make_unique<Case>();
  if (!judge) std::abort();
  Randomness random(size, {data, size});
  generator.make(random, *what);
  if ((*judge)->run(*what) == Judge::Verdict::Disagreed) {
    fmt::print(stderr, "{}{}\n", describe(*what), (*judge)->difference());
    std::abort();
  }
  return 0;
}
