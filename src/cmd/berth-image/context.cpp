// What the commands share.
#include <fmt/core.h>
#include <unistd.h>

#include <cstdio>

#include "base/text.hpp"
#include "cmd/berth-image/command.hpp"
#include "sys/fd.hpp"
#include "sys/terminal.hpp"
#include "term/listing.hpp"

namespace berth::cmd {

Result<image::Store> Context::open_store() const {
  image::Store store = TRY(image::Store::open(root));
  TRY_DURING("cannot clear away what earlier commands left", store.recover());
  return store;
}

std::unique_ptr<term::Progress> Context::progress(bool quiet) const {
  using Mode = term::Progress::Mode;
  const bool terminal = ::isatty(STDERR_FILENO) == 1;
  const Mode mode = quiet ? Mode::Quiet : terminal ? Mode::Bars : Mode::Lines;
  return std::make_unique<term::Progress>(mode, STDERR_FILENO, sys::window_size(STDERR_FILENO).columns);
}

Result<void> print(std::string_view text) {
  TRY_DURING("standard output", sys::write_all(STDOUT_FILENO, text));
  return {};
}

void complain(const Error& error) {
  std::fputs(fmt::format("berth image: {}\n", term::printable(error.message)).c_str(), stderr);
}

}  // namespace berth::cmd
