#pragma once

#include <cstdint>

namespace berth::engine::soft {

enum class Tiers : std::uint8_t {
  Interpreter,      // alone
  Translator,       // of what is executed often, and the interpreter for what it does not take
  EagerTranslator,  // from the first execution on, for tests
};

}  // namespace berth::engine::soft
