// Giving memory back while a program has nothing to do.
#pragma once

#include <cstddef>

namespace berth::sys {

// For a program that is to be done within milliseconds, called first: maps its own code and data and the
// first `heap_bytes` of its heap in a few calls, and keeps what is freed until release_idle_memory(). Taken
// one by one, a page costs 10 us where the machine is itself a virtual one; in bulk, a hundredth of that.
void prepare_for_a_short_run(std::size_t heap_bytes);

// Returns the heap's free pages and forgets the pages of the program's own file that are merely read (they
// come back from the page cache when touched). For processes that sleep for hours beside a workload.
void release_idle_memory();

}  // namespace berth::sys
