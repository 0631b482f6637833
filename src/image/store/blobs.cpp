// Blobs: content under its digest.
#include <fmt/core.h>
#include <sys/file.h>
#include <unistd.h>

#include <array>

#include "base/text.hpp"
#include "image/store/schema.hpp"
#include "image/store/store.hpp"

namespace berth::image {
namespace {

constexpr std::size_t kCopyBytes = 256 << 10;

Error explain_write_failure(Error error, const Digest& digest, const std::string& root) {
  const int number = error.sys_errno;
  error = std::move(error).during(fmt::format("cannot store blob {}", digest.text()));
  if (number == ENOSPC || number == EDQUOT) {
    error.message += fmt::format("; free some space below {}, for example with: berth image prune", root);
  }
  return error;
}

}  // namespace

std::string Store::blob_path(const Digest& digest) const {
  return fmt::format("{}/blobs/{}/{}", root_, digest.algorithm(), digest.hex());
}

Result<bool> Store::use_blob(const Digest& digest) {
  auto update = TRY(database_.prepare("UPDATE blobs SET used_ns = max(used_ns, ?) WHERE digest = ?"));
  TRY(update.bind(now_ns()).bind(digest.text()).run());
  return database_.changes() > 0;
}

// A row whose file somebody removed by hand counts as absent, so that the next pull heals it.
Result<bool> Store::has_blob(const Digest& digest) {
  return TRY(use_blob(digest)) && sys::exists(blob_path(digest));
}

Result<sys::Fd> Store::open_blob(const Digest& digest) {
  auto fd = sys::open(blob_path(digest), O_RDONLY);
  if (!fd && fd.error().sys_errno == ENOENT) {
    return fail(Code::NotFound,
                fmt::format("the image store has no blob {}: pull or load the image again", digest.text()));
  }
  return fd;
}

Result<std::string> Store::read_blob(const Digest& digest, std::size_t limit) {
  const sys::Fd fd = TRY(open_blob(digest));
  return TRY_DURING(fmt::format("blob {}", digest.text()), sys::read_all(fd.get(), limit));
}

Result<std::uint64_t> Store::blob_size(const Digest& digest) {
  auto query = TRY(database_.prepare("SELECT size FROM blobs WHERE digest = ?"));
  if (TRY(query.bind(digest.text()).step())) return static_cast<std::uint64_t>(query.integer(0));
  return fail(Code::NotFound, fmt::format("the image store has no blob {}", digest.text()));
}

Result<void> Store::record_blob(const Digest& digest, std::uint64_t size_bytes) {
  auto insert =
      TRY(database_.prepare("INSERT INTO blobs VALUES (?, ?, ?) ON CONFLICT (digest) DO UPDATE SET "
                            "size = excluded.size, used_ns = excluded.used_ns"));
  return insert.bind(digest.text()).bind(static_cast<std::int64_t>(size_bytes)).bind(now_ns()).run();
}

// A whole file whose writer was killed just before it made the row. The caller holds the digest's ingest
// lock, so once this has answered no, nothing but the caller can put a file there, and gc() cannot be about
// to unlink one.
Result<bool> Store::adopt_stray_blob(const Descriptor& descriptor) {
  const std::string path = blob_path(descriptor.digest);
  const sys::Fd locked = TRY(lock_existing(path));
  struct stat info {};
  if (!locked || ::fstat(locked.get(), &info) != 0) return false;
  if (static_cast<std::uint64_t>(info.st_size) != descriptor.size) {
    TRY(sys::remove_tree(path));
    return false;
  }
  TRY(record_blob(descriptor.digest, descriptor.size));
  return true;
}

Result<BlobWriter> Store::write_blob(const Descriptor& descriptor) {
  BlobWriter writer(*this, descriptor);
  writer.path_ =
      fmt::format("{}/ingest/{}-{}", root_, descriptor.digest.algorithm(), descriptor.digest.hex());
  auto locked = lock_entry(writer.path_);
  if (!locked) return fail(explain_write_failure(std::move(locked).error(), descriptor.digest, root_));
  writer.fd_ = *std::move(locked);
  if (TRY(has_blob(descriptor.digest)) || TRY(adopt_stray_blob(descriptor))) {
    const std::uint64_t size = TRY(blob_size(descriptor.digest));
    if (size != descriptor.size) {
      return fail(Code::DataLoss, fmt::format("blob {} is announced with {} bytes, but has {}",
                                              descriptor.digest.text(), descriptor.size, size));
    }
    writer.drop();
    writer.offset_ = descriptor.size;
    writer.present_ = true;
    return writer;
  }
  TRY(writer.resume());
  return writer;
}

Result<Descriptor> Store::put_blob(std::string_view bytes, std::string_view media_type) {
  Descriptor descriptor{std::string(media_type), digest_of(bytes), bytes.size(), {}, {}, {}};
  BlobWriter writer = TRY(write_blob(descriptor));
  if (writer.present()) return descriptor;
  TRY(writer.restart());
  TRY(writer.write(bytes));
  TRY(writer.commit());
  return descriptor;
}

Result<void> Store::adopt_blob(const std::string& path, const Descriptor& descriptor) {
  BlobWriter place = TRY(write_blob(descriptor));
  if (place.present()) return sys::remove_tree(path);
  const sys::Fd fd = TRY(lock_entry(path));
  if (::rename(path.c_str(), blob_path(descriptor.digest).c_str()) != 0) {
    return fail_errno(fmt::format("cannot store blob {}", descriptor.digest.text()));
  }
  auto recorded = record_blob(descriptor.digest, descriptor.size);
  place.drop();
  return recorded;
}

BlobWriter::BlobWriter(Store& store, Descriptor descriptor)
    : store_(&store), descriptor_(std::move(descriptor)), hasher_(descriptor_.digest.algorithm()) {}

// Takes over the bytes that an earlier writer left: hashes them again, for nothing on a disk is trusted
// unverified.
Result<void> BlobWriter::resume() {
  struct stat info {};
  if (::fstat(fd_.get(), &info) != 0) return fail_errno(fmt::format("cannot stat {}", path_));
  if (static_cast<std::uint64_t>(info.st_size) > descriptor_.size) return restart();
  std::string buffer(kCopyBytes, '\0');
  for (;;) {
    const std::size_t count = TRY(sys::read_some(fd_.get(), buffer));
    if (count == 0) return {};
    hasher_.update(std::string_view(buffer).substr(0, count));
    offset_ += count;
  }
}

Result<void> BlobWriter::restart() {
  if (present_) return {};
  if (::ftruncate(fd_.get(), 0) != 0 || ::lseek(fd_.get(), 0, SEEK_SET) != 0) {
    return fail_errno(fmt::format("cannot empty {}", path_));
  }
  hasher_ = Hasher(descriptor_.digest.algorithm());
  offset_ = 0;
  return {};
}

void BlobWriter::drop() {
  ::unlink(path_.c_str());
  fd_.reset();
}

Result<void> BlobWriter::write(std::string_view bytes) {
  if (bytes.size() > descriptor_.size - offset_) {
    return fail(Code::ResourceExhausted, fmt::format("blob {} is longer than the {} bytes announced",
                                                     descriptor_.digest.text(), descriptor_.size));
  }
  auto written = sys::write_all(fd_.get(), bytes);
  if (!written) {
    drop();
    return fail(explain_write_failure(std::move(written).error(), descriptor_.digest, store_->root_));
  }
  hasher_.update(bytes);
  offset_ += bytes.size();
  return {};
}

Result<void> BlobWriter::commit() {
  if (present_) return {};
  if (offset_ != descriptor_.size) {
    return fail(Code::DataLoss, fmt::format("blob {} ends after {} of {} bytes", descriptor_.digest.text(),
                                            offset_, descriptor_.size));
  }
  const Digest actual = hasher_.finish();
  if (actual != descriptor_.digest) {
    drop();
    return fail(Code::DataLoss, fmt::format("blob {} is damaged: its bytes have the digest {}",
                                            descriptor_.digest.text(), actual.text()));
  }
  const std::string final_path = store_->blob_path(descriptor_.digest);
  if (::rename(path_.c_str(), final_path.c_str()) != 0) {
    return fail_errno(fmt::format("cannot store blob {}", descriptor_.digest.text()));
  }
  // The lock went along with the file: no gc() removes it before it has its row.
  auto recorded = store_->record_blob(descriptor_.digest, descriptor_.size);
  fd_.reset();
  return recorded;
}

}  // namespace berth::image
