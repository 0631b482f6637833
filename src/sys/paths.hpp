// Where berth keeps things, decided in one place for all programs.
#pragma once

#include <string>

#include "base/result.hpp"

namespace berth::sys {

struct Paths {
  std::string root;  // survives a reboot: images, instances, logs; absolute
  std::string run;   // does not: locks, sockets, pipes
};

// True for an ordinary user, also inside the user namespace in which that user is root.
bool is_ordinary_user();

// `root_option` is what --root says, "" where it was not given. The defaults are /var/lib/berth and
// /run/berth; for an ordinary user $XDG_DATA_HOME/berth (~/.local/share/berth) and $XDG_RUNTIME_DIR/berth.
// Roots other than the default get a run directory of their own below the default one. Nothing is made on
// disk.
Result<Paths> find_paths(const std::string& root_option);

}  // namespace berth::sys
