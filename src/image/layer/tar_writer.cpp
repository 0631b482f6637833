#include "image/layer/tar_writer.hpp"

#include <archive.h>
#include <archive_entry.h>
#include <fmt/core.h>
#include <locale.h>
#include <sys/sysmacros.h>

#include <optional>

namespace berth::image {
namespace {

// In this locale libarchive writes valid UTF-8 as it is, and marks a name that is not with hdrcharset=BINARY.
// Switched for the calling thread alone, around each call.
class Utf8Locale {
 public:
  Utf8Locale() : before_(::uselocale(utf8_locale())) {}
  ~Utf8Locale() { ::uselocale(before_); }
  Utf8Locale(const Utf8Locale&) = delete;
  Utf8Locale& operator=(const Utf8Locale&) = delete;

 private:
  static locale_t utf8_locale() {
    static const locale_t locale = ::newlocale(LC_CTYPE_MASK, "C.UTF-8", nullptr);
    return locale;
  }
  locale_t before_;
};

struct ArchiveCloser {
  void operator()(archive* handle) const { archive_write_free(handle); }
};
struct EntryCloser {
  void operator()(archive_entry* entry) const { archive_entry_free(entry); }
};

mode_t file_type(EntryType type) {
  switch (type) {
    case EntryType::Directory:
      return AE_IFDIR;
    case EntryType::Symlink:
      return AE_IFLNK;
    case EntryType::CharDevice:
      return AE_IFCHR;
    case EntryType::BlockDevice:
      return AE_IFBLK;
    case EntryType::Fifo:
      return AE_IFIFO;
    case EntryType::File:
    case EntryType::HardLink:
      break;
  }
  return AE_IFREG;
}

// libarchive 3.6 writes seconds and fraction as they are, but pax has one signed number: -1.5 is the second
// -2 and half a second. The last second before 1970 would lose its sign and goes without fraction.
void set_time(archive_entry* to, const timespec& time) {
  if (time.tv_sec >= 0 || time.tv_nsec == 0) return archive_entry_set_mtime(to, time.tv_sec, time.tv_nsec);
  if (time.tv_sec == -1) return archive_entry_set_mtime(to, -1, 0);
  archive_entry_set_mtime(to, time.tv_sec + 1, 1'000'000'000 - time.tv_nsec);
}

void fill(archive_entry* to, const TarEntry& from) {
  archive_entry_clear(to);
  archive_entry_copy_pathname(to, from.path.c_str());
  archive_entry_set_filetype(to, file_type(from.type));
  archive_entry_set_perm(to, from.metadata.mode);
  archive_entry_set_uid(to, from.metadata.uid);
  archive_entry_set_gid(to, from.metadata.gid);
  set_time(to, from.metadata.mtime);
  archive_entry_set_size(to, from.type == EntryType::File ? static_cast<la_int64_t>(from.size) : 0);
  if (from.type == EntryType::HardLink) archive_entry_copy_hardlink(to, from.target.c_str());
  if (from.type == EntryType::Symlink) archive_entry_copy_symlink(to, from.target.c_str());
  archive_entry_set_rdevmajor(to, ::major(from.device));
  archive_entry_set_rdevminor(to, ::minor(from.device));
  for (const auto& [key, value] : from.metadata.xattrs) {
    archive_entry_xattr_add_entry(to, key.c_str(), value.data(), value.size());
  }
}

}  // namespace

struct TarWriter::State {
  Sink sink;
  std::optional<Error> sink_error;
  std::unique_ptr<archive, ArchiveCloser> handle;
  std::unique_ptr<archive_entry, EntryCloser> entry;

  static la_ssize_t push(archive* handle, void* self, const void* bytes, std::size_t size);
  Failure failure(std::string_view attempt);
};

la_ssize_t TarWriter::State::push(archive* handle, void* self, const void* bytes, std::size_t size) {
  State& state = *static_cast<State*>(self);
  auto written = state.sink({static_cast<const char*>(bytes), size});
  if (written) return static_cast<la_ssize_t>(size);
  archive_set_error(handle, written.error().sys_errno, "%s", written.error().message.c_str());
  state.sink_error = std::move(written).error();
  return -1;
}

Failure TarWriter::State::failure(std::string_view attempt) {
  if (sink_error) return fail(*sink_error);
  const char* reason = archive_error_string(handle.get());
  return fail(Code::Internal,
              fmt::format("{}: {}", attempt, reason == nullptr ? "unknown libarchive error" : reason));
}

TarWriter::TarWriter(std::unique_ptr<State> state) : state_(std::move(state)) {}
TarWriter::TarWriter(TarWriter&&) noexcept = default;
TarWriter::~TarWriter() = default;

Result<TarWriter> TarWriter::open(Sink sink) {
  const Utf8Locale locale;
  auto state = std::make_unique<State>();
  state->sink = std::move(sink);
  state->handle.reset(archive_write_new());
  state->entry.reset(archive_entry_new());
  archive* handle = state->handle.get();
  BERTH_ASSERT(handle != nullptr && state->entry != nullptr);
  archive_write_set_format_pax(handle);
  archive_write_set_options(handle, "pax:xattrheader=SCHILY");
  archive_write_set_bytes_per_block(handle, 256 << 10);
  archive_write_set_bytes_in_last_block(handle, 1024);
  if (archive_write_open(handle, state.get(), nullptr, State::push, nullptr) != ARCHIVE_OK) {
    return state->failure("cannot start an archive");
  }
  return TarWriter(std::move(state));
}

Result<void> TarWriter::add(const TarEntry& entry) {
  const Utf8Locale locale;
  fill(state_->entry.get(), entry);
  const int status = archive_write_header(state_->handle.get(), state_->entry.get());
  if (status == ARCHIVE_OK || status == ARCHIVE_WARN) return {};
  return state_->failure(fmt::format("cannot pack {}", quoted(entry.path)));
}

Result<void> TarWriter::write(std::string_view content) {
  const la_ssize_t count = archive_write_data(state_->handle.get(), content.data(), content.size());
  if (count < 0) return state_->failure("cannot pack a file's content");
  if (static_cast<std::size_t>(count) != content.size())
    return fail(Code::Aborted, "a file grew while it was packed");
  return {};
}

Result<void> TarWriter::finish() {
  const Utf8Locale locale;
  if (archive_write_close(state_->handle.get()) != ARCHIVE_OK)
    return state_->failure("cannot end an archive");
  return {};
}

}  // namespace berth::image
