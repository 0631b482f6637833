#include "sys/fd.hpp"

#include <fmt/core.h>
#include <linux/openat2.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>

#include "base/text.hpp"

namespace berth::sys {
namespace {

Result<Fd> open_as(int dir, const std::string& path, const open_how& how) {
  for (;;) {
    const long fd = ::syscall(SYS_openat2, dir, path.c_str(), &how, sizeof how);
    if (fd >= 0) return Fd(static_cast<int>(fd));
    // EAGAIN: somebody renamed a directory meanwhile and the kernel could not prove that we stayed inside.
    if (errno != EAGAIN && errno != EINTR) return fail_errno(fmt::format("cannot open {}", path));
  }
}

}  // namespace

Fd& Fd::operator=(Fd&& other) noexcept {
  if (this != &other) {
    reset();
    fd_ = std::exchange(other.fd_, -1);
  }
  return *this;
}

void Fd::reset() noexcept {
  if (fd_ >= 0) ::close(std::exchange(fd_, -1));
}

Result<Fd> open(const std::string& path, int flags, mode_t mode) {
  return open_at(AT_FDCWD, path, flags, mode);
}

Result<Fd> open_at(int dir, const std::string& path, int flags, mode_t mode) {
  const int fd = ::openat(dir, path.c_str(), flags | O_CLOEXEC, mode);
  if (fd < 0) return fail_errno(fmt::format("cannot open {}", path));
  return Fd(fd);
}

Result<Fd> open_in_root(int root, const std::string& path, int flags, mode_t mode) {
  open_how how{};
  how.flags = static_cast<std::uint64_t>(flags | O_CLOEXEC);
  how.mode = mode;
  how.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS;
  return open_as(root, path, how);
}

Result<Fd> open_without_symlinks(const std::string& directory) {
  open_how how{};
  how.flags = O_PATH | O_DIRECTORY | O_CLOEXEC;
  how.resolve = RESOLVE_NO_SYMLINKS;
  return open_as(AT_FDCWD, directory, how);
}

Result<Fd> duplicate(int fd) {
  const int copy = ::fcntl(fd, F_DUPFD_CLOEXEC, 3);
  if (copy < 0) return fail_errno("cannot duplicate a descriptor");
  return Fd(copy);
}

Result<Pipe> pipe(int flags) {
  std::array<int, 2> ends{};
  if (::pipe2(ends.data(), flags | O_CLOEXEC) != 0) return fail_errno("cannot make a pipe");
  return Pipe{Fd(ends[0]), Fd(ends[1])};
}

Result<std::pair<Fd, Fd>> socket_pair(int type) {
  std::array<int, 2> ends{};
  if (::socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, ends.data()) != 0)
    return fail_errno("cannot make a socket pair");
  return std::pair{Fd(ends[0]), Fd(ends[1])};
}

Result<void> write_all(int fd, std::string_view data) {
  while (!data.empty()) {
    const ssize_t count = ::write(fd, data.data(), data.size());
    if (count < 0) {
      if (errno == EINTR) continue;
      return fail_errno("cannot write");
    }
    data.remove_prefix(static_cast<std::size_t>(count));
  }
  return {};
}

Result<std::size_t> read_some(int fd, std::span<char> buffer) {
  for (;;) {
    const ssize_t count = ::read(fd, buffer.data(), buffer.size());
    if (count >= 0) return static_cast<std::size_t>(count);
    if (errno != EINTR) return fail_errno("cannot read");
  }
}

Result<void> write_all_at(int fd, std::span<const std::byte> data, std::uint64_t offset) {
  while (!data.empty()) {
    const ssize_t count = ::pwrite(fd, data.data(), data.size(), static_cast<off_t>(offset));
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return fail_errno("cannot write");
    data = data.subspan(static_cast<std::size_t>(count));
    offset += static_cast<std::uint64_t>(count);
  }
  return {};
}

Result<std::string> read_all(int fd, std::size_t limit) {
  std::string data;
  struct stat info {};
  // Sizes of /proc files read as 0: the loop below grows the buffer anyway.
  if (::fstat(fd, &info) == 0 && S_ISREG(info.st_mode))
    data.reserve(std::min(static_cast<std::size_t>(info.st_size), limit) + 1);
  std::array<char, 16384> buffer;
  for (;;) {
    const std::size_t count = TRY(read_some(fd, buffer));
    if (count == 0) return data;
    if (data.size() + count > limit) {
      return fail(Code::ResourceExhausted, fmt::format("cannot read: more than {} bytes", limit));
    }
    data.append(buffer.data(), count);
  }
}

Result<std::string> read_file(const std::string& path, std::size_t limit) {
  const Fd fd = TRY(open(path, O_RDONLY));
  return TRY_DURING(path, read_all(fd.get(), limit));
}

Result<void> write_file(const std::string& path, std::string_view data) {
  const Fd fd = TRY(open(path, O_WRONLY | O_TRUNC));
  TRY_DURING(path, write_all(fd.get(), data));
  return {};
}

namespace {

// ext4 writes a file out when it replaces another (ext4(5), auto_da_alloc), which takes half a millisecond,
// but not when the two change names.
bool change_places(const std::string& temporary, const std::string& path) {
  return ::renameat2(AT_FDCWD, temporary.c_str(), AT_FDCWD, path.c_str(), RENAME_EXCHANGE) == 0 &&
         ::unlink(temporary.c_str()) == 0;
}

}  // namespace

Result<void> replace_file(const std::string& path, std::string_view data, mode_t mode, Keeping keeping) {
  const std::string temporary = path + ".new-" + random_hex(8);
  const auto write = [&]() -> Result<void> {
    const Fd fd = TRY(open(temporary, O_WRONLY | O_CREAT | O_EXCL, mode));
    TRY_DURING(temporary, write_all(fd.get(), data));
    if (keeping == Keeping::Durable && ::fsync(fd.get()) != 0)
      return fail_errno(fmt::format("cannot sync {}", temporary));
    if (keeping == Keeping::Transient && change_places(temporary, path)) return {};
    if (::rename(temporary.c_str(), path.c_str()) != 0)
      return fail_errno(fmt::format("cannot replace {}", path));
    return {};
  };
  auto written = write();
  if (!written) ::unlink(temporary.c_str());
  return written;
}

Result<struct stat> stat(const std::string& path) {
  struct stat info {};
  if (::lstat(path.c_str(), &info) != 0) return fail_errno(fmt::format("cannot stat {}", path));
  return info;
}

bool exists(const std::string& path) { return ::access(path.c_str(), F_OK) == 0; }

Result<std::string> read_link(const std::string& path) {
  std::string target(4096, '\0');
  const ssize_t count = ::readlink(path.c_str(), target.data(), target.size());
  if (count < 0) return fail_errno(fmt::format("cannot read the link {}", path));
  target.resize(static_cast<std::size_t>(count));
  return target;
}

namespace {

Result<Fd> locked(Fd fd, const std::string& path) {
  while (::flock(fd.get(), LOCK_EX) != 0) {
    if (errno != EINTR) return fail_errno(fmt::format("cannot lock {}", path));
  }
  return fd;
}

Result<Fd> locked_if_free(Fd fd, const std::string& path) {
  if (::flock(fd.get(), LOCK_EX | LOCK_NB) == 0) return fd;
  if (errno == EWOULDBLOCK) return Fd();
  return fail_errno(fmt::format("cannot lock {}", path));
}

}  // namespace

Result<Fd> lock_file(const std::string& path) {
  return locked(TRY(open(path, O_RDWR | O_CREAT, 0600)), path);
}

Result<Fd> try_lock_file(const std::string& path) {
  return locked_if_free(TRY(open(path, O_RDWR | O_CREAT, 0600)), path);
}

Result<Fd> lock_directory(const std::string& path) {
  return locked(TRY(open(path, O_RDONLY | O_DIRECTORY)), path);
}

Result<Fd> try_lock_directory(const std::string& path) {
  return locked_if_free(TRY(open(path, O_RDONLY | O_DIRECTORY)), path);
}

}  // namespace berth::sys
