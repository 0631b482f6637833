// Files of /proc where that is a container's, which may have put anything in their place.
#pragma once

namespace berth::sys {

// Opens `path` ("sys/kernel/sem", "thread-self/attr/exec") below /proc. What is mounted there must be the
// root of a procfs, reached without symlinks (else EXDEV or ELOOP), with nothing mounted over the file or
// above it (EXDEV): a write cannot land in another file (CVE-2019-16884, CVE-2025-52881). 0 or an errno;
// allocates nothing.
int open_proc_file(const char* path, int flags, int* fd) noexcept;

}  // namespace berth::sys
