#include "cmd/berth/command.hpp"
#include "sys/memory.hpp"

namespace {

constexpr std::size_t kHeapBytes = 256 << 10;  // of `berth run`, measured

// Before the constructors of all that is linked in, which touch a good part of it.
[[gnu::constructor(101)]] void prepare() { berth::sys::prepare_for_a_short_run(kHeapBytes); }

}  // namespace

int main(int argc, char** argv) { return berth::cmd::run_command_line({argv + 1, argv + argc}); }
