// Draws cases: a few instructions, registers that often point at the edges of the pages, and data.
#pragma once

#include <string>
#include <vector>

#include "allowed.hpp"
#include "layout.hpp"
#include "randomness.hpp"

namespace berth::judge {

class Generator {
 public:
  Generator();
  void make(Randomness& random, Case& made) const;

 private:
  // One that looks at none but the `defined` flags, and its bytes.
  Instruction draw(Randomness& random, std::uint64_t defined, std::vector<std::uint8_t>& bytes) const;

  ZydisDecoder decoder_;
};

// For messages.
std::string describe(const Case& what);

}  // namespace berth::judge
