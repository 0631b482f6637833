#include <fmt/core.h>

#include <map>
#include <optional>
#include <utility>

#include "image/layer/encoder.hpp"
#include "image/layer/layer.hpp"
#include "image/layer/metadata.hpp"
#include "image/layer/overlay.hpp"
#include "image/layer/tar_writer.hpp"

namespace berth::image {
namespace {

constexpr std::size_t kReadBytes = 256 << 10;

// Walks a tree, sorted by name, and writes each file as an entry. Holds one descriptor a level of depth.
class Packer {
 public:
  Packer(TarWriter& archive, bool plain_tree)
      : archive_(archive), plain_tree_(plain_tree), buffer_(kReadBytes) {}

  Result<void> pack_root(int directory) {
    const struct stat info = TRY(sys::stat_of(directory));
    TarEntry entry{EntryType::Directory, "./"};
    entry.metadata = TRY(read_metadata(directory, info));
    TRY(archive_.add(entry));
    return pack_children(directory, "");
  }

 private:
  Result<void> pack_children(int directory, const std::string& prefix);
  Result<void> pack_entry(int directory, const std::string& prefix, const std::string& name);
  Result<void> pack_file(int directory, const std::string& name, TarEntry& entry);
  Result<void> pack_marker(const std::string& path);
  Result<bool> is_opaque(int directory) const;
  Result<bool> is_whiteout(int directory, const std::string& name, const struct stat& info) const;

  TarWriter& archive_;
  bool plain_tree_;
  std::vector<char> buffer_;
  OverlayMarks privileged_{false};
  OverlayMarks rootless_{true};
  std::map<std::pair<dev_t, ino_t>, std::string> linked_;  // files of several names: the name packed first
};

std::optional<EntryType> type_of(mode_t mode) {
  switch (mode & S_IFMT) {
    case S_IFREG:
      return EntryType::File;
    case S_IFDIR:
      return EntryType::Directory;
    case S_IFLNK:
      return EntryType::Symlink;
    case S_IFCHR:
      return EntryType::CharDevice;
    case S_IFBLK:
      return EntryType::BlockDevice;
    case S_IFIFO:
      return EntryType::Fifo;
    default:
      return std::nullopt;  // a socket, which means nothing without its server
  }
}

Result<bool> Packer::is_opaque(int directory) const {
  return TRY(privileged_.is_opaque(directory)) || TRY(rootless_.is_opaque(directory));
}

Result<bool> Packer::is_whiteout(int directory, const std::string& name, const struct stat& info) const {
  return TRY(privileged_.is_whiteout(directory, name, info)) ||
         TRY(rootless_.is_whiteout(directory, name, info));
}

Result<void> Packer::pack_children(int directory, const std::string& prefix) {
  if (!plain_tree_ && TRY(is_opaque(directory))) TRY(pack_marker(prefix + ".wh..wh..opq"));
  for (const std::string& name : TRY(sys::list_names(directory))) {
    auto packed = pack_entry(directory, prefix, name);
    if (!packed) {
      // Named once, where it happened.
      if (packed.error().message.starts_with("cannot pack ")) return packed;
      return fail(std::move(packed).error().during(fmt::format("cannot pack {}", quoted(prefix + name))));
    }
  }
  return {};
}

Result<void> Packer::pack_entry(int directory, const std::string& prefix, const std::string& name) {
  const auto info = TRY(sys::find_at(directory, name));
  if (!info) return fail(Code::Aborted, "it went away meanwhile");
  const auto type = type_of(info->st_mode);
  if (!type) return {};
  if (!plain_tree_ && TRY(is_whiteout(directory, name, *info))) return pack_marker(prefix + ".wh." + name);
  if (name.starts_with(".wh.")) {
    return fail(Code::InvalidArgument, "names that begin with .wh. mean whiteouts in a layer; rename it");
  }
  TarEntry entry{*type, prefix + name};
  if (*type != EntryType::Directory && info->st_nlink > 1) {
    const auto [first, fresh] = linked_.try_emplace({info->st_dev, info->st_ino}, entry.path);
    if (!fresh) {
      entry.type = EntryType::HardLink;
      entry.target = first->second;
    }
  }
  entry.metadata = TRY(read_metadata(directory, name, *info));
  entry.device = info->st_rdev;
  entry.size = static_cast<std::uint64_t>(info->st_size);
  if (entry.type == EntryType::HardLink) entry.metadata.xattrs.clear();  // the inode has them already
  if (entry.type == EntryType::File) return pack_file(directory, name, entry);
  if (entry.type == EntryType::Symlink) entry.target = TRY(sys::read_link_at(directory, name));
  if (entry.type != EntryType::Directory) return archive_.add(entry);

  entry.path += '/';
  TRY(archive_.add(entry));
  const sys::Fd child = TRY(sys::open_at(directory, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW));
  return pack_children(child.get(), entry.path);
}

Result<void> Packer::pack_file(int directory, const std::string& name, TarEntry& entry) {
  const sys::Fd file = TRY(sys::open_at(directory, name, O_RDONLY | O_NOFOLLOW));
  TRY(archive_.add(entry));
  std::uint64_t left = entry.size;
  while (left > 0) {
    const std::size_t count =
        TRY(sys::read_some(file.get(), std::span(buffer_).first(std::min(left, kReadBytes))));
    if (count == 0) return fail(Code::Aborted, "it shrank meanwhile");
    TRY(archive_.write({buffer_.data(), count}));
    left -= count;
  }
  return {};
}

Result<void> Packer::pack_marker(const std::string& path) {
  TarEntry entry{EntryType::File, path};
  entry.metadata.mode = 0644;
  return archive_.add(entry);
}

}  // namespace

Result<PackedLayer> pack_layer(const std::string& directory, int out, Compression compression,
                               bool plain_tree) {
  const auto attempt = fmt::format("cannot pack {} as a layer", directory);
  const sys::Fd root = TRY_DURING(attempt, sys::open(directory, O_RDONLY | O_DIRECTORY));
  const auto encoder = Encoder::make(out, compression);
  TarWriter archive =
      TRY(TarWriter::open([&encoder](std::string_view bytes) { return encoder->write(bytes); }));
  TRY_DURING(attempt, Packer(archive, plain_tree).pack_root(root.get()));
  TRY_DURING(attempt, archive.finish());
  return TRY_DURING(attempt, encoder->finish());
}

}  // namespace berth::image
