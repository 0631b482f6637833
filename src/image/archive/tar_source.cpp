#include <fcntl.h>
#include <fmt/core.h>

#include <algorithm>

#include "base/text.hpp"
#include "image/archive/source.hpp"
#include "image/layer/decoder.hpp"
#include "image/layer/tar_reader.hpp"

namespace berth::image {
namespace {

constexpr std::size_t kMaxEntries = 100'000;
constexpr std::size_t kMaxNameBytes = 4096;
constexpr std::size_t kMaxLinks = 8;  // on the way to one file
constexpr std::size_t kReadBytes = 1 << 20;

struct Spooled {
  std::string path;
  Descriptor descriptor;
};

// "./a//b/../c" is "a/c"; "" for what lies outside of the archive.
std::string normalized(std::string_view name) {
  std::vector<std::string> parts;
  for (std::string& part : split(name, '/')) {
    if (part.empty() || part == ".") continue;
    if (part != "..")
      parts.push_back(std::move(part));
    else if (parts.empty())
      return "";
    else
      parts.pop_back();
  }
  return join(parts, "/");
}

class TarSource : public Source {
 public:
  TarSource(Store& store, std::string directory) : store_(&store), directory_(std::move(directory)) {}

  Result<void> spool(TarReader& archive) {
    TarEntry entry;
    while (TRY(archive.next(entry))) {
      if (files_.size() + links_.size() >= kMaxEntries) {
        return fail(Code::ResourceExhausted,
                    fmt::format("more than {} entries: this is no image archive", kMaxEntries));
      }
      const std::string name = entry.path.size() > kMaxNameBytes ? "" : normalized(entry.path);
      if (name.empty()) continue;  // nothing that an image's documents could mean
      if (entry.type == EntryType::File) TRY_DURING(quoted(entry.path), spool_file(archive, name));
      if (entry.type == EntryType::HardLink) links_[name] = normalized(entry.target);
      // `docker save` of old made a link of a layer that two images share.
      if (entry.type == EntryType::Symlink)
        links_[name] = normalized(name.substr(0, name.rfind('/') + 1) + entry.target);
    }
    return {};
  }

  Result<bool> has(const std::string& name) override { return find(name) != nullptr; }

  Result<std::string> read(const std::string& name) override {
    return TRY_DURING(name, sys::read_file(TRY(get(name))->path, kMaxManifestBytes));
  }

  Result<Descriptor> describe(const std::string& name) override { return TRY(get(name))->descriptor; }

  Result<sys::Fd> open(const std::string& name) override { return sys::open(TRY(get(name))->path, O_RDONLY); }

  Result<void> take(const std::string& name, const Descriptor& descriptor) override {
    const Spooled& file = *TRY(get(name));
    if (file.descriptor.size != descriptor.size || file.descriptor.digest != descriptor.digest) {
      return fail(Code::DataLoss, fmt::format("{} is damaged: expected {} ({} bytes), found {} ({} bytes)",
                                              name, descriptor.digest.text(), descriptor.size,
                                              file.descriptor.digest.text(), file.descriptor.size));
    }
    // Another image of the archive may already have taken it.
    if (TRY(store_->has_blob(descriptor.digest))) return {};
    auto taken = store_->adopt_blob(file.path, descriptor);
    if (taken) files_.find(resolve(name))->second.path = store_->blob_path(descriptor.digest);
    return taken;
  }

 private:
  // A layout names its blobs by digest, in either algorithm; everything else is known by its sha256.
  static Hasher hasher_for(const std::string& name) {
    return Hasher(name.starts_with("blobs/sha512/") ? "sha512" : "sha256");
  }

  Result<void> spool_file(TarReader& archive, const std::string& name) {
    Spooled file{fmt::format("{}/{}", directory_, ++count_), {}};
    const sys::Fd fd = TRY(sys::open(file.path, O_WRONLY | O_CREAT | O_EXCL, 0600));
    Hasher hasher = hasher_for(name);
    while (const auto block = TRY(archive.read())) {
      if (block->offset != file.descriptor.size) {
        return fail(Code::InvalidArgument, "a sparse file: no image archive holds such");
      }
      TRY(sys::write_all(fd.get(), block->bytes));
      hasher.update(block->bytes);
      file.descriptor.size += block->bytes.size();
    }
    file.descriptor.digest = hasher.finish();
    files_[name] = std::move(file);
    return {};
  }

  std::string resolve(const std::string& name) const {
    std::string target = normalized(name);
    for (std::size_t i = 0; i < kMaxLinks; ++i) {
      const auto link = links_.find(target);
      if (link == links_.end() || files_.contains(target)) break;
      target = link->second;
    }
    return target;
  }

  const Spooled* find(const std::string& name) const {
    const auto found = files_.find(resolve(name));
    return found == files_.end() ? nullptr : &found->second;
  }

  Result<const Spooled*> get(const std::string& name) const {
    if (const Spooled* found = find(name)) return found;
    return fail(Code::NotFound, fmt::format("the archive has no file {}", quoted(name)));
  }

  Store* store_;
  std::string directory_;
  std::size_t count_ = 0;
  std::map<std::string, Spooled> files_;
  std::map<std::string, std::string> links_;
};

std::uint64_t size_of(int fd) {
  struct stat info {};
  return ::fstat(fd, &info) == 0 && S_ISREG(info.st_mode) ? static_cast<std::uint64_t>(info.st_size) : 0;
}

}  // namespace

Result<std::unique_ptr<Source>> open_tar(Store& store, int fd, const std::string& directory,
                                         term::Progress& progress) {
  const std::size_t task = progress.add("archive", "reading", size_of(fd));
  const auto decoder = TRY(open_decoder(fd, [&](std::uint64_t bytes) { progress.set(task, bytes); }));
  std::string buffer(kReadBytes, '\0');
  TarReader archive = TRY(TarReader::open([&]() -> Result<std::string_view> {
    const std::size_t count = TRY(decoder->read(buffer));
    return std::string_view(buffer).substr(0, count);
  }));
  auto source = std::make_unique<TarSource>(store, directory);
  auto spooled = source->spool(archive);
  if (!spooled) {
    Error error = std::move(spooled).error();
    if (error.sys_errno == ENOSPC || error.sys_errno == EDQUOT) {
      error.message +=
          fmt::format("; free some space below {}, for example with: berth image prune", store.root());
    }
    return fail(std::move(error));
  }
  progress.finish(task, "read");
  return std::unique_ptr<Source>(std::move(source));
}

}  // namespace berth::image
