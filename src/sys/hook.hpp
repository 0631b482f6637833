// Running a program that was made ready before, also between fork and exec: text in, an outcome out, bounded
// in time.
#pragma once

#include <sys/types.h>

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"
#include "sys/fd.hpp"

namespace berth::sys {

// Owns what the program is given. Stays where it is, as it points into itself.
class HookCommand {
 public:
  HookCommand(std::string path, std::vector<std::string> args, std::vector<std::string> env, int timeout_ms);
  HookCommand(const HookCommand&) = delete;
  HookCommand& operator=(const HookCommand&) = delete;

  // Standard output and standard error; those that are null stay as they are.
  void write_to(std::shared_ptr<Fd> out, std::shared_ptr<Fd> error);

  struct Outcome {
    int error = 0;           // it could not be run, for this errno
    bool timed_out = false;  // it was killed
    int exit_code = 0;       // 128 + N where signal N ended it
    bool good() const { return error == 0 && !timed_out && exit_code == 0; }
  };
  // Standard input is `input`, read from its start. `root` is the root directory to run below, -1 for the
  // present one. Allocates nothing.
  Outcome run(int input, int root) const noexcept;

  const std::string& path() const { return path_; }
  std::string describe(const Outcome& outcome) const;  // "ended with exit code 3"

 private:
  [[noreturn]] void become(int input, int root, int report) const noexcept;

  std::string path_;
  std::vector<std::string> args_;
  std::vector<std::string> env_;
  std::vector<char*> argv_;
  std::vector<char*> envp_;
  int timeout_ms_;  // -1: none
  std::shared_ptr<Fd> out_;
  std::shared_ptr<Fd> error_;
};

// A nameless file in memory, for text that a program is to read.
Result<Fd> make_memory_file(std::string_view text);
// The same between fork and exec: -errno on failure.
int make_memory_file(const char* first, std::size_t first_size, int number, const char* last,
                     std::size_t last_size) noexcept;

}  // namespace berth::sys
