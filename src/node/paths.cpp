#include "node/paths.hpp"

#include <fmt/core.h>
#include <unistd.h>

#include <thread>

#include "sys/paths.hpp"

namespace berth::node {
namespace {

constexpr std::chrono::milliseconds kLockPoll{2};

// Removing an instance unlinks its lock: one taken on a file that has gone is worth nothing.
bool is_linked(int fd) {
  struct stat info {};
  return ::fstat(fd, &info) == 0 && info.st_nlink > 0;
}

}  // namespace

Result<Paths> Paths::of(const std::string& root) {
  const sys::Paths found = TRY(sys::find_paths(root));
  TRY(sys::make_dir(found.root, 0700));
  TRY(sys::make_dir(found.run, 0700));
  return Paths{found.root, found.run};
}

Result<sys::Fd> try_lock_instance(const Paths& paths, const std::string& id) {
  const std::string directory = paths.run_dir(id);
  for (;;) {
    TRY(sys::make_dir(directory, 0700));
    auto lock = sys::try_lock_file(directory + "/monitor.lock");
    if (!lock && lock.error().code == Code::NotFound) continue;  // removed between the two steps
    sys::Fd fd = TRY(std::move(lock));
    if (!fd || is_linked(fd.get())) return fd;
  }
}

Result<sys::Fd> lock_instance(const Paths& paths, const std::string& id, std::chrono::milliseconds timeout) {
  const auto deadline = std::chrono::steady_clock::now() + timeout;
  for (;;) {
    sys::Fd lock = TRY(try_lock_instance(paths, id));
    if (lock) return lock;
    if (std::chrono::steady_clock::now() >= deadline) {
      return fail(Code::DeadlineExceeded,
                  fmt::format("instance {} is still being worked on", id.substr(0, 12)));
    }
    std::this_thread::sleep_for(kLockPoll);
  }
}

}  // namespace berth::node
