#include "image/layer/tar_reader.hpp"

#include <archive.h>
#include <archive_entry.h>
#include <fmt/core.h>
#include <locale.h>
#include <sys/sysmacros.h>

#include <limits>

#include "image/layer/acl.hpp"

namespace berth::image {
namespace {

// libarchive turns the UTF-8 of pax headers into the locale's encoding, normalising on the way; in the C
// locale it keeps the bytes. Switched for the calling thread alone, around each call.
class PlainLocale {
 public:
  PlainLocale() : before_(::uselocale(c_locale())) {}
  ~PlainLocale() { ::uselocale(before_); }
  PlainLocale(const PlainLocale&) = delete;
  PlainLocale& operator=(const PlainLocale&) = delete;

 private:
  static locale_t c_locale() {
    static const locale_t locale = ::newlocale(LC_ALL_MASK, "C", nullptr);
    return locale;
  }
  locale_t before_;
};

struct ArchiveCloser {
  void operator()(archive* handle) const { archive_read_free(handle); }
};

Result<EntryType> type_of(archive_entry* entry, const std::string& path) {
  if (archive_entry_hardlink(entry) != nullptr) return EntryType::HardLink;
  switch (archive_entry_filetype(entry)) {
    case AE_IFREG:
      return EntryType::File;
    case AE_IFDIR:
      return EntryType::Directory;
    case AE_IFLNK:
      return EntryType::Symlink;
    case AE_IFCHR:
      return EntryType::CharDevice;
    case AE_IFBLK:
      return EntryType::BlockDevice;
    case AE_IFIFO:
      return EntryType::Fifo;
    default:
      return fail(Code::InvalidArgument,
                  fmt::format("entry {}: a file type that images cannot hold", quoted(path)));
  }
}

// -1 means "leave as it is" to chown(2): no file can belong to it.
Result<std::uint32_t> id_of(std::int64_t value, std::string_view what, const std::string& path) {
  if (value < 0 || value >= std::numeric_limits<std::uint32_t>::max()) {
    return fail(Code::InvalidArgument,
                fmt::format("entry {}: {} {} is out of range", quoted(path), what, value));
  }
  return static_cast<std::uint32_t>(value);
}

void read_xattrs(archive_entry* source, std::vector<sys::Xattr>& xattrs) {
  xattrs.clear();
  if (archive_entry_xattr_reset(source) > 0) {
    const char* name = nullptr;
    const void* value = nullptr;
    std::size_t size = 0;
    while (archive_entry_xattr_next(source, &name, &value, &size) == ARCHIVE_OK) {
      if (name == nullptr) continue;
      xattrs.emplace_back(name, std::string(static_cast<const char*>(value), value == nullptr ? 0 : size));
    }
  }
  append_acls(source, xattrs);
}

// libarchive 3.6 reads "-1.5" as the seconds -1 and the fraction +0.5.
timespec signed_time(std::int64_t seconds, long nanoseconds) {
  if (seconds < 0 && nanoseconds > 0) return {seconds - 1, 1'000'000'000 - nanoseconds};
  return {seconds, nanoseconds};
}

std::string text_or_empty(const char* text) { return text == nullptr ? std::string() : std::string(text); }

}  // namespace

struct TarReader::State {
  Source source;
  std::unique_ptr<archive, ArchiveCloser> handle;
  std::optional<Error> source_error;
  std::uint64_t header_bytes = 0;
  bool in_header = false;
  bool in_content = false;

  static la_ssize_t pull(archive* handle, void* self, const void** bytes);
  Failure failure(int status);
};

la_ssize_t TarReader::State::pull(archive* handle, void* self, const void** bytes) {
  State& state = *static_cast<State*>(self);
  if (state.in_header && state.header_bytes > kMaxHeaderBytes) {
    archive_set_error(handle, EINVAL, "the headers of one entry take more than %llu bytes",
                      static_cast<unsigned long long>(kMaxHeaderBytes));
    return ARCHIVE_FATAL;
  }
  auto block = state.source();
  if (!block) {
    state.source_error = std::move(block).error();
    return ARCHIVE_FATAL;
  }
  state.header_bytes += block->size();
  *bytes = block->data();
  return static_cast<la_ssize_t>(block->size());
}

Failure TarReader::State::failure(int status) {
  if (source_error) return fail(*source_error);
  const char* reason = archive_error_string(handle.get());
  return fail(Code::DataLoss,
              fmt::format("not a sound tar archive: {}",
                          reason == nullptr ? fmt::format("libarchive error {}", status) : reason));
}

TarReader::TarReader(std::unique_ptr<State> state) : state_(std::move(state)) {}
TarReader::TarReader(TarReader&&) noexcept = default;
TarReader::~TarReader() = default;

Result<TarReader> TarReader::open(Source source) {
  const PlainLocale locale;
  auto state = std::make_unique<State>();
  state->source = std::move(source);
  state->handle.reset(archive_read_new());
  archive* handle = state->handle.get();
  BERTH_ASSERT(handle != nullptr);
  archive_read_support_format_tar(handle);
  // Concatenated archives (tar -A) are not layers: what follows the end mark is hashed, never unpacked.
  const int status = archive_read_open(handle, state.get(), nullptr, State::pull, nullptr);
  if (status != ARCHIVE_OK) return state->failure(status);
  return TarReader(std::move(state));
}

Result<bool> TarReader::next(TarEntry& entry) {
  while (TRY(read())) {
  }
  const PlainLocale locale;
  archive* handle = state_->handle.get();
  state_->in_header = true;
  state_->header_bytes = 0;
  archive_entry* source = nullptr;
  const int status = archive_read_next_header(handle, &source);
  state_->in_header = false;
  if (status == ARCHIVE_EOF && !state_->source_error) return false;
  if (status != ARCHIVE_OK && status != ARCHIVE_WARN) return state_->failure(status);
  state_->in_content = true;

  entry.path = text_or_empty(archive_entry_pathname(source));
  entry.type = TRY(type_of(source, entry.path));
  const char* target =
      entry.type == EntryType::HardLink ? archive_entry_hardlink(source) : archive_entry_symlink(source);
  entry.target = text_or_empty(target);
  const std::int64_t size = archive_entry_size(source);
  if (size < 0) return fail(Code::DataLoss, fmt::format("entry {}: a negative size", quoted(entry.path)));
  entry.size = static_cast<std::uint64_t>(size);
  entry.device = ::makedev(static_cast<unsigned>(archive_entry_rdevmajor(source)),
                           static_cast<unsigned>(archive_entry_rdevminor(source)));
  Metadata& metadata = entry.metadata;
  metadata.mode = archive_entry_perm(source) & 07777;
  metadata.uid = TRY(id_of(archive_entry_uid(source), "uid", entry.path));
  metadata.gid = TRY(id_of(archive_entry_gid(source), "gid", entry.path));
  metadata.mtime = signed_time(archive_entry_mtime(source), archive_entry_mtime_nsec(source));
  read_xattrs(source, metadata.xattrs);
  return true;
}

Result<std::optional<TarReader::Block>> TarReader::read() {
  if (!state_->in_content) return std::optional<Block>{};
  const PlainLocale locale;
  const void* bytes = nullptr;
  std::size_t size = 0;
  la_int64_t offset = 0;
  const int status = archive_read_data_block(state_->handle.get(), &bytes, &size, &offset);
  if (status == ARCHIVE_EOF) {
    state_->in_content = false;
    return std::optional<Block>{};
  }
  if (status != ARCHIVE_OK && status != ARCHIVE_WARN) return state_->failure(status);
  if (offset < 0) return fail(Code::DataLoss, "not a sound tar archive: a negative offset");
  return std::optional(Block{{static_cast<const char*>(bytes), size}, static_cast<std::uint64_t>(offset)});
}

}  // namespace berth::image
