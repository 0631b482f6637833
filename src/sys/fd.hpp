// File descriptors that close themselves, and the few operations on them that everything needs.
#pragma once

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/types.h>

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "base/result.hpp"

namespace berth::sys {

// Owns one open file description's descriptor; move-only. -1 means none.
class Fd {
 public:
  Fd() noexcept = default;
  explicit Fd(int fd) noexcept : fd_(fd) {}
  Fd(Fd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Fd& operator=(Fd&& other) noexcept;
  Fd(const Fd&) = delete;
  Fd& operator=(const Fd&) = delete;
  ~Fd() { reset(); }

  int get() const noexcept { return fd_; }
  explicit operator bool() const noexcept { return fd_ >= 0; }
  [[nodiscard]] int release() noexcept { return std::exchange(fd_, -1); }
  void reset() noexcept;

 private:
  int fd_ = -1;
};

// open(2) and openat(2), always close-on-exec. Errors name the path.
Result<Fd> open(const std::string& path, int flags, mode_t mode = 0);
Result<Fd> open_at(int dir, const std::string& path, int flags, mode_t mode = 0);

// openat2(2) below `root` as if it were "/": no "..", symlink or magic link leads outside (RESOLVE_IN_ROOT).
Result<Fd> open_in_root(int root, const std::string& path, int flags, mode_t mode = 0);

// A handle (O_PATH) of the directory that has exactly this name: a symlink on the way is an error.
Result<Fd> open_without_symlinks(const std::string& directory);

Result<Fd> duplicate(int fd);

struct Pipe {
  Fd read;
  Fd write;
};
Result<Pipe> pipe(int flags = 0);  // O_CLOEXEC is added
// Two connected AF_UNIX sockets; `type` is SOCK_STREAM, SOCK_SEQPACKET, ...
Result<std::pair<Fd, Fd>> socket_pair(int type);

// Whole transfers: EINTR and short counts are dealt with. `read_all` refuses more than `limit` bytes.
Result<void> write_all(int fd, std::string_view data);
Result<std::string> read_all(int fd, std::size_t limit = std::size_t{64} << 20);
// At `offset` of a file, whose position stays.
Result<void> write_all_at(int fd, std::span<const std::byte> data, std::uint64_t offset);
// One read(2) of up to `buffer.size()` bytes; 0 at the end of file.
Result<std::size_t> read_some(int fd, std::span<char> buffer);

Result<std::string> read_file(const std::string& path, std::size_t limit = std::size_t{64} << 20);
Result<void> write_file(const std::string& path,
                        std::string_view data);  // an existing file, e.g. of /proc or cgroupfs
// What is left of a replaced file where the whole machine stops at a bad moment (a crash of ours harms none).
enum class Keeping {
  Transient,  // anything: what it is about is gone as well
  Usual,      // as the file system has it: the old or the new content with most
  Durable,    // the new content, once replace_file() is back
};

// Readers see the old or the new content, never a part.
Result<void> replace_file(const std::string& path, std::string_view data, mode_t mode = 0644,
                          Keeping keeping = Keeping::Usual);

Result<struct stat> stat(const std::string& path);
bool exists(const std::string& path);
Result<std::string> read_link(const std::string& path);
Result<void> make_dir(const std::string& path, mode_t mode = 0755);  // parents too; existing is fine
Result<void> remove_tree(const std::string& path);  // absent is fine; never follows a symlink
// The bytes that the files below `path` occupy on disk; a hard-linked file counts once.
Result<std::uint64_t> disk_usage(const std::string& path);

// Exclusive flock(2) on `path` (made if absent); released when the Fd closes, also by a crash.
Result<Fd> lock_file(const std::string& path);
// The same on a directory that is there.
Result<Fd> lock_directory(const std::string& path);
// Empty Fd where somebody else holds it.
Result<Fd> try_lock_file(const std::string& path);
Result<Fd> try_lock_directory(const std::string& path);

}  // namespace berth::sys
