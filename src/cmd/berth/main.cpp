#include <algorithm>
#include <cstdio>
#include <string>
#include <vector>

#include "base/result.hpp"
#include "cmd/berth/command.hpp"
#include "sys/fd.hpp"
#include "sys/memory.hpp"
#include "sys/own_program.hpp"

namespace {

constexpr std::size_t kHeapBytes = 256 << 10;  // of `berth run`, measured

// Before the constructors of all that is linked in, which touch a good part of it.
[[gnu::constructor(101)]] void prepare() { berth::sys::map_own_program(); }

// `exec` starts a process in a unit, which must not get to this program's file. The path that the program is
// called by from then on is where others find berth's own programs. Taken for `exec` without being it, a
// command line only starts a little later.
berth::Result<void> leave_writable_program(char** argv, int argc) {
  const std::string self = TRY(berth::sys::read_link("/proc/self/exe"));
  std::vector<const char*> words(argv, argv + argc + 1);
  if (self.size() > 1) words.front() = self.c_str();
  return berth::sys::run_out_of_reach(words);
}

}  // namespace

int main(int argc, char** argv) {
  berth::sys::prepare_heap(kHeapBytes);
  const std::vector<std::string> args(argv + 1, argv + argc);
  if (std::find(args.begin(), args.end(), "exec") != args.end()) {
    if (const auto left = leave_writable_program(argv, argc); !left) {
      std::fprintf(stderr, "berth: %s\n", left.error().message.c_str());
      return 125;
    }
  }
  return berth::cmd::run_command_line(args);
}
