#include "kernel/unpack/archive.hpp"

#include <archive.h>
#include <archive_entry.h>
#include <fmt/core.h>

#include <optional>
#include <vector>

namespace berth::kernel {

struct Archive::State {
  struct Closer {
    void operator()(archive* handle) const { archive_read_free(handle); }
  };
  Source source;
  std::unique_ptr<archive, Closer> handle;
  std::optional<Error> source_error;
  std::vector<char> block;

  static la_ssize_t pull(archive* handle, void* self, const void** bytes);
  Failure failure();
};

la_ssize_t Archive::State::pull(archive* /*handle*/, void* self, const void** bytes) {
  State& state = *static_cast<State*>(self);
  auto got = state.source();
  if (!got) {
    state.source_error = std::move(got).error();
    return ARCHIVE_FATAL;
  }
  *bytes = got->data();
  return static_cast<la_ssize_t>(got->size());
}

Failure Archive::State::failure() {
  if (source_error) return fail(*source_error);
  const char* reason = archive_error_string(handle.get());
  return fail(Code::DataLoss, fmt::format("not a sound archive: {}",
                                          reason == nullptr ? "libarchive gives no reason" : reason));
}

Archive::Archive(std::unique_ptr<State> state) : state_(std::move(state)) {}
Archive::Archive(Archive&&) noexcept = default;
Archive::~Archive() = default;

Result<Archive> Archive::open(Form form, Source source) {
  constexpr std::size_t kBlockBytes = 64 << 10;
  auto state = std::make_unique<State>();
  state->source = std::move(source);
  state->block.resize(kBlockBytes);
  state->handle.reset(archive_read_new());
  archive* handle = state->handle.get();
  BERTH_ASSERT(handle != nullptr);
  if (form == Form::Ar) archive_read_support_format_ar(handle);
  if (form == Form::Tar) archive_read_support_format_tar(handle);
  if (form == Form::Raw) archive_read_support_format_raw(handle);
  if (form != Form::Ar) {  // those that need no program of their own
    archive_read_support_filter_gzip(handle);
    archive_read_support_filter_bzip2(handle);
    archive_read_support_filter_xz(handle);
    archive_read_support_filter_lzma(handle);
    archive_read_support_filter_zstd(handle);
    archive_read_support_filter_lz4(handle);
  }
  if (archive_read_open(handle, state.get(), nullptr, State::pull, nullptr) != ARCHIVE_OK)
    return state->failure();
  return Archive(std::move(state));
}

Result<bool> Archive::next(Entry& entry) {
  archive_entry* found = nullptr;
  const int status = archive_read_next_header(state_->handle.get(), &found);
  if (status == ARCHIVE_EOF && !state_->source_error) return false;
  if (status != ARCHIVE_OK && status != ARCHIVE_WARN) return state_->failure();
  const char* path = archive_entry_pathname(found);
  entry.path = path == nullptr ? "" : path;
  entry.is_file = archive_entry_filetype(found) == AE_IFREG && archive_entry_hardlink(found) == nullptr;
  return true;
}

Result<std::string_view> Archive::read() {
  const la_ssize_t count =
      archive_read_data(state_->handle.get(), state_->block.data(), state_->block.size());
  if (count < 0) return state_->failure();
  return std::string_view(state_->block.data(), static_cast<std::size_t>(count));
}

Result<std::string> Archive::read_all(std::size_t limit) {
  std::string content;
  for (;;) {
    const std::string_view more = TRY(read());
    if (more.empty()) return content;
    if (content.size() + more.size() > limit)
      return fail(Code::ResourceExhausted, fmt::format("its content takes more than {} bytes", limit));
    content.append(more);
  }
}

}  // namespace berth::kernel
