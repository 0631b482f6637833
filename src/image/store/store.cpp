// Opening, locks, leases and recovery.
#include "image/store/store.hpp"

#include <fmt/core.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/text.hpp"
#include "image/store/schema.hpp"
#include "sys/entry.hpp"

namespace berth::image {
namespace {

constexpr std::int64_t kKeepIngestSeconds = 24 * 3600;

// True while `path` still names the file behind `fd`.
bool names_same_file(const std::string& path, int fd) {
  struct stat by_path {};
  struct stat by_fd {};
  return ::stat(path.c_str(), &by_path) == 0 && ::fstat(fd, &by_fd) == 0 && by_path.st_dev == by_fd.st_dev &&
         by_path.st_ino == by_fd.st_ino;
}

Result<void> flock_whole(int fd, int operation, const std::string& path) {
  while (::flock(fd, operation) != 0) {
    if (errno != EINTR) return fail_errno(fmt::format("cannot lock {}", path));
  }
  return {};
}

Error explain_open_failure(Error error, const std::string& root) {
  if (error.code == Code::DataLoss) {
    error.message += fmt::format(
        "; the database is damaged: move {}/berth.db* away and load or pull the images again", root);
  } else if (error.sys_errno == EROFS || error.code == Code::PermissionDenied) {
    error.message += fmt::format("; choose a directory that you may write to with --root (now {})", root);
  }
  return error;
}

Result<void> make_layout(const std::string& root) {
  for (const char* part : {"", "/blobs", "/blobs/sha256", "/blobs/sha512", "/ingest", "/layers", "/tmp"}) {
    // Images may hold set-uid programs: nobody else may look below the root.
    TRY(sys::make_dir(root + part, *part == '\0' ? 0711 : 0700));
  }
  // The lower directories of units whose root user is an ordinary one here are looked up by that user.
  if (::chmod((root + "/layers").c_str(), 0711) != 0)
    return fail_errno(fmt::format("cannot set the mode of {}", root));
  return {};
}

}  // namespace

Result<std::vector<std::string>> list_directory(const std::string& path) {
  const sys::Fd directory = TRY(sys::open(path, O_RDONLY | O_DIRECTORY));
  return TRY_DURING(path, sys::list_names(directory.get()));
}

Result<sys::Fd> lock_entry(const std::string& path) {
  for (;;) {
    sys::Fd fd = TRY(sys::open(path, O_RDWR | O_CREAT, 0600));
    TRY(flock_whole(fd.get(), LOCK_EX, path));
    if (names_same_file(path, fd.get())) return fd;
  }
}

Result<sys::Fd> lock_existing(const std::string& path) {
  for (;;) {
    auto fd = sys::open(path, O_RDONLY | O_NOFOLLOW);
    if (!fd && fd.error().sys_errno == ENOENT) return sys::Fd();
    if (!fd) return fd;
    TRY(flock_whole(fd->get(), LOCK_EX, path));
    if (names_same_file(path, fd->get())) return fd;
  }
}

Result<sys::Fd> try_lock_entry(const std::string& path) {
  auto fd = sys::open(path, O_RDONLY | O_NOFOLLOW);
  if (!fd) {
    if (fd.error().sys_errno == ENOENT) return sys::Fd();
    return fd;
  }
  if (::flock(fd->get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno == EWOULDBLOCK) return sys::Fd();
    return fail_errno(fmt::format("cannot lock {}", path));
  }
  if (!names_same_file(path, fd->get())) return sys::Fd();
  return fd;
}

Result<Store> Store::open(const std::string& root) {
  const std::string path = root + "/berth.db";
  // The directories are made before the database: where that is, they are.
  if (!sys::exists(path)) {
    auto made = make_layout(root);
    if (!made)
      return fail(explain_open_failure(std::move(made).error().during("cannot make the image store"), root));
  }
  auto database = db::Database::open(path, kSchema);
  if (!database) return fail(explain_open_failure(std::move(database).error(), root));
  if (!sys::exists(root + "/tmp")) TRY(make_layout(root));  // another room made the database
  return Store(root, *std::move(database));
}

Result<void> Store::recover() {
  for (const std::string& name : TRY(list_directory(root_ + "/tmp"))) {
    const std::string path = root_ + "/tmp/" + name;
    const sys::Fd owned = TRY(try_lock_entry(path));
    if (owned) TRY(sys::remove_tree(path));
  }
  for (const std::string& name : TRY(list_directory(root_ + "/ingest"))) {
    const std::string path = root_ + "/ingest/" + name;
    const sys::Fd owned = TRY(try_lock_entry(path));
    struct stat info {};
    if (!owned || ::fstat(owned.get(), &info) != 0) continue;
    const bool old = info.st_mtim.tv_sec < now_ns() / 1'000'000'000 - kKeepIngestSeconds;
    if (info.st_size == 0 || old) TRY(sys::remove_tree(path));
  }
  return {};
}

Lease::~Lease() {
  if (lock_) static_cast<void>(sys::remove_tree(path_));  // what stays is recover()'s
}

Lease& Lease::operator=(Lease&& other) noexcept {
  std::swap(path_, other.path_);
  std::swap(lock_, other.lock_);
  return *this;
}

Result<Lease> Store::lease() {
  // gc() holds this lock exclusively while it decides: a lease is either seen by it or begins after it.
  const sys::Fd door = TRY(sys::open(root_ + "/gc.lock", O_RDWR | O_CREAT, 0600));
  TRY(flock_whole(door.get(), LOCK_SH, root_ + "/gc.lock"));
  for (;;) {
    const std::string path = fmt::format("{}/tmp/{}-{}", root_, now_ns(), random_hex(8));
    TRY(sys::make_dir(path, 0700));
    auto fd = sys::open(path, O_RDONLY | O_DIRECTORY);
    if (!fd) {
      if (fd.error().sys_errno == ENOENT) continue;  // a recover() was quicker than our lock
      return fail(std::move(fd).error());
    }
    TRY(flock_whole(fd->get(), LOCK_EX, path));
    if (names_same_file(path, fd->get())) return Lease(path, *std::move(fd));
  }
}

Result<std::string> Store::make_work_dir(const Lease& lease) {
  const std::string path = lease.path_ + "/" + random_hex(8);
  TRY(sys::make_dir(path, 0700));
  return path;
}

}  // namespace berth::image
