// Giving memory back while a program has nothing to do.
#pragma once

namespace berth::sys {

// Returns the heap's free pages and forgets the pages of the program's own file that are merely read (they
// come back from the page cache when touched). For processes that sleep for hours beside a workload.
void release_idle_memory();

}  // namespace berth::sys
