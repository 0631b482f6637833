// This program's own file, kept from the containers that it starts. A process that is started in a container
// as /proc/self/exe, or by a script or an ELF file with that interpreter, is this program once more, and
// whoever may open its /proc/PID/exe in there holds the host's file, to be written to once nobody runs it
// (CVE-2019-5736).
#pragma once

#include <string>
#include <vector>

#include "base/result.hpp"
#include "sys/fd.hpp"

namespace berth::sys {

// Runs the calling program anew, with `argv` (its own, ended by a null pointer), by a file of which nothing
// that is reached through it can be written: the only look at a read-only copy of its mount (open_tree(2)),
// or for who may not mount a sealed copy in memory (memfd_create(2)). Comes back where that is so already, or
// where no container of this user could write to the file anyway. Single-threaded, before anything is open or
// started.
Result<void> run_out_of_reach(const std::vector<const char*>& argv);

// The same for `program`, which is to be started: a file to start it by (SpawnOptions::program_file); empty
// where its own will do.
Result<Fd> out_of_reach(const std::string& program);

}  // namespace berth::sys
