// A program's own memory: had in bulk where it is needed at once, given back where nothing is to be done.
//
// Taken one by one, a page costs 10 to 17 us where the machine is itself a virtual one; in bulk, 0.1 us for
// one of a file and 0.5 us for one of the program's own.
#pragma once

#include <cstddef>

namespace berth::sys {

// For a program that is to be done within milliseconds, before anything else of it runs: maps its code and
// its data.
void map_own_program();

// The same, at the beginning of main(): has the next `bytes` of the heap there, and keeps what is freed until
// release_idle_memory(). Not earlier, since the C++ library puts 72 KiB aside for exceptions before main().
void prepare_heap(std::size_t bytes);

// Returns the heap's free pages and forgets the pages of the program's own file that are merely read (they
// come back from the page cache when touched). For processes that sleep for hours beside a workload.
void release_idle_memory();

// Gives whole pages of a shared mapping back, out of its file as well; they read as zeros from then on.
void release_shared_pages(void* start, std::size_t bytes);

}  // namespace berth::sys
