// The shape of one `berth image` command, and the table of all of them.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "base/result.hpp"
#include "image/store/store.hpp"
#include "term/progress.hpp"

namespace CLI {
class App;
}

namespace berth::cmd {

inline constexpr int kBerthFailed = 125;
inline constexpr int kSomeFailed = 1;  // where Docker's command exits with 1: one of several operands failed

// What every command may use.
struct Context {
  std::string root;  // absolute
  std::string format;
  Result<image::Store> open_store() const;  // also clears away what crashed commands left
  // Bars on a terminal, lines elsewhere, nothing with --quiet; on standard error.
  std::unique_ptr<term::Progress> progress(bool quiet) const;
};

// Runs the command; the value is the exit code. The caller reports an error, with exit code 125.
using Action = std::function<Result<int>(const Context&)>;

struct Command {
  std::string_view name;
  std::string_view summary;
  // Adds the command's options to `app`; the storage they are parsed into belongs to the action.
  Action (*declare)(CLI::App& app);
};

std::span<const Command> commands();

// Writes to standard output; a reader that has gone away, or a full disk, is an error.
Result<void> print(std::string_view text);
// "berth image: message" on standard error.
void complain(const Error& error);

}  // namespace berth::cmd
