#include "image/layer/extractor.hpp"

#include <fmt/core.h>
#include <unistd.h>

#include <cerrno>
#include <optional>

#include "base/log.hpp"

namespace berth::image {
namespace {

constexpr std::string_view kWhiteout = ".wh.";      // image-spec, layer.md: Whiteouts
constexpr std::string_view kReserved = ".wh..wh.";  // AUFS's own files, of no meaning elsewhere
constexpr std::string_view kOpaque = ".wh..wh..opq";
constexpr std::size_t kMaxName = 255;  // NAME_MAX of Linux file systems
constexpr std::uint64_t kDirectoryBytes = 4096;

// The components of an entry's path; "./x", "/x" and "x//y" are taken as below the root.
Result<std::vector<std::string_view>> components(std::string_view path) {
  std::vector<std::string_view> parts;
  while (!path.empty()) {
    const std::size_t slash = std::min(path.find('/'), path.size());
    const std::string_view part = path.substr(0, slash);
    path.remove_prefix(std::min(slash + 1, path.size()));
    if (part.empty() || part == ".") continue;
    if (part == "..") return fail(Code::InvalidArgument, "\"..\" in a path: it would lead out of the layer");
    if (part.size() > kMaxName) {
      return fail(Code::InvalidArgument,
                  fmt::format("a name of {} bytes: {} is the most", part.size(), kMaxName));
    }
    parts.push_back(part);
  }
  return parts;
}

bool is_reserved(const std::vector<std::string_view>& path) {
  return std::any_of(path.begin(), path.end(),
                     [](std::string_view part) { return part.starts_with(kReserved) && part != kOpaque; });
}

bool is_whiteout_device(const TarEntry& entry) {
  return entry.type == EntryType::CharDevice && entry.device == 0;
}

}  // namespace

Result<void> Extractor::run(TarReader& archive, const std::string& target, const UnpackOptions& options,
                            UnpackedLayer& layer) {
  const Parents parents(options.parents, options.user_xattrs);
  return Extractor(options, parents).extract_all(archive, target, layer);
}

Result<void> Extractor::extract_all(TarReader& archive, const std::string& target, UnpackedLayer& layer) {
  DirChain chain = TRY(DirChain::open(target, parents_, marks_, writer_));
  TarEntry entry;
  while (TRY(archive.next(entry))) {
    auto added = check_limits(entry);
    if (added) added = add(entry, archive, chain);
    if (!added) return fail(std::move(added).error().during(fmt::format("entry {}", quoted(entry.path))));
  }
  TRY(chain.finish());
  layer.entries = entries_;
  // Something that was counted has gone again: rare enough to count anew.
  layer.size_bytes =
      chain.replaced() > 0 ? TRY(sys::disk_usage(target)) : disk_bytes_ + chain.made() * kDirectoryBytes;
  return {};
}

Result<void> Extractor::check_limits(const TarEntry& entry) {
  const UnpackLimits& limits = options_.limits;
  ++entries_;
  const std::uint64_t size = entry.type == EntryType::File ? entry.size : 0;
  const auto exceeded = [](std::string_view what, std::uint64_t limit) {
    return fail(Code::ResourceExhausted, fmt::format("{} than the limit of {}", what, limit));
  };
  if (limits.max_entries != 0 && entries_ > limits.max_entries) {
    return exceeded("the layer has more entries", limits.max_entries);
  }
  if (limits.max_bytes != 0 && (size > limits.max_bytes || content_bytes_ > limits.max_bytes - size)) {
    return exceeded("the layer's files claim more bytes", limits.max_bytes);
  }
  content_bytes_ += size;
  if (limits.max_path_bytes != 0 &&
      std::max(entry.path.size(), entry.target.size()) > limits.max_path_bytes) {
    return exceeded("its path or its link's target is longer", limits.max_path_bytes);
  }
  std::size_t xattr_bytes = 0;
  for (const auto& [key, value] : entry.metadata.xattrs) xattr_bytes += key.size() + value.size();
  if (limits.max_xattr_bytes != 0 && xattr_bytes > limits.max_xattr_bytes) {
    return exceeded("its extended attributes take more bytes", limits.max_xattr_bytes);
  }
  return {};
}

Result<void> Extractor::add(const TarEntry& entry, TarReader& archive, DirChain& chain) {
  std::vector<std::string_view> path = TRY(components(entry.path));
  if (path.empty()) {
    if (entry.path.empty()) return fail(Code::InvalidArgument, "an empty name");
    if (entry.type != EntryType::Directory)
      return fail(Code::InvalidArgument, "the root must be a directory");
    return chain.set_root(entry.metadata);
  }
  if (is_reserved(path)) return {};
  const std::string name(path.back());
  path.pop_back();
  for (const std::string_view part : path) {
    if (part.starts_with(kWhiteout))
      return fail(Code::InvalidArgument, "below a whiteout, which has no content");
  }
  if (name.starts_with(kWhiteout) || is_whiteout_device(entry)) {
    TRY(chain.enter(path));
    if (name == kOpaque) return chain.make_opaque();
    const std::string_view hidden =
        name.starts_with(kWhiteout) ? std::string_view(name).substr(kWhiteout.size()) : name;
    return add_whiteout(hidden, chain);
  }
  if (entry.type == EntryType::HardLink) return add_hard_link(path, name, entry, chain);
  TRY(chain.enter(path));
  switch (entry.type) {
    case EntryType::Directory:
      return chain.set_directory(name, entry.metadata);
    case EntryType::File:
      return add_file(name, entry, archive, chain);
    case EntryType::Symlink:
      return add_symlink(name, entry, chain);
    default:
      return add_node(name, entry, chain);
  }
}

// A whiteout hides what lower layers have, never an entry of its own layer, in whichever order the two come.
Result<void> Extractor::add_whiteout(std::string_view hidden, DirChain& chain) {
  const std::string name(hidden);
  if (name.empty() || name == "." || name == "..") {
    return fail(Code::InvalidArgument, "a whiteout of nothing that can be hidden");
  }
  const auto info = TRY(sys::find_at(chain.fd(), name));
  if (!info) return marks_.make_whiteout(chain.fd(), name);
  if (!S_ISDIR(info->st_mode)) return {};
  const sys::Fd directory = TRY(sys::open_at(chain.fd(), name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW));
  return marks_.make_opaque(directory.get());
}

Result<void> Extractor::add_file(const std::string& name, const TarEntry& entry, TarReader& archive,
                                 DirChain& chain) {
  constexpr int kFlags = O_CREAT | O_EXCL | O_WRONLY | O_NOFOLLOW;
  auto opened = sys::open_at(chain.fd(), name, kFlags, 0600);
  if (!opened && opened.error().sys_errno == EEXIST) {
    TRY(chain.clear(name));
    opened = sys::open_at(chain.fd(), name, kFlags, 0600);
  }
  const sys::Fd file = TRY(std::move(opened));
  TRY(write_content(file.get(), entry, archive));
  TRY(writer_.apply(file.get(), entry.metadata));
  disk_bytes_ += static_cast<std::uint64_t>(TRY(sys::stat_of(file.get())).st_blocks) * 512;
  return {};
}

Result<void> Extractor::write_content(int file, const TarEntry& entry, TarReader& archive) {
  std::uint64_t end = 0;
  while (const auto block = TRY(archive.read())) {
    std::string_view bytes = block->bytes;
    std::uint64_t offset = block->offset;
    if (offset < end || offset > entry.size || bytes.size() > entry.size - offset) {
      return fail(Code::DataLoss, "its content does not fit its size");
    }
    while (!bytes.empty()) {
      const ssize_t count = ::pwrite(file, bytes.data(), bytes.size(), static_cast<off_t>(offset));
      if (count < 0 && errno == EINTR) continue;
      if (count < 0) return fail_errno("cannot write");
      bytes.remove_prefix(static_cast<std::size_t>(count));
      offset += static_cast<std::uint64_t>(count);
    }
    end = offset;
  }
  // A hole at the end of a sparse file.
  if (end < entry.size && ::ftruncate(file, static_cast<off_t>(entry.size)) != 0)
    return fail_errno("cannot extend");
  return {};
}

Result<void> Extractor::add_symlink(const std::string& name, const TarEntry& entry, DirChain& chain) {
  if (entry.target.empty()) return fail(Code::InvalidArgument, "a symlink without target");
  auto made = sys::make_symlink_at(entry.target, chain.fd(), name);
  if (!made && made.error().sys_errno == EEXIST) {
    TRY(chain.clear(name));
    made = sys::make_symlink_at(entry.target, chain.fd(), name);
  }
  TRY(std::move(made));
  return writer_.apply_at(chain.fd(), name, entry.metadata, true);
}

Result<void> Extractor::add_node(const std::string& name, const TarEntry& entry, DirChain& chain) {
  const mode_t type = entry.type == EntryType::Fifo         ? S_IFIFO
                      : entry.type == EntryType::CharDevice ? S_IFCHR
                                                            : S_IFBLK;
  if (TRY(sys::find_at(chain.fd(), name))) TRY(chain.clear(name));
  auto made = sys::make_node_at(chain.fd(), name, type | 0600, entry.device);
  if (!made && made.error().sys_errno == EPERM) {
    writer_.left_out("device",
                     fmt::format("the device {}: this user may not make devices", quoted(entry.path)));
    return {};
  }
  TRY(std::move(made));
  return writer_.apply_at(chain.fd(), name, entry.metadata, false);
}

// A hard link is another name for an inode: the entry's own metadata says nothing about it, whatever it
// claims.
Result<void> Extractor::add_hard_link(const std::vector<std::string_view>& parent, const std::string& name,
                                      const TarEntry& entry, DirChain& chain) {
  const auto attempt = fmt::format("hard link to {}", quoted(entry.target));
  std::vector<std::string_view> target = TRY_DURING(attempt, components(entry.target));
  if (target.empty()) return fail(Code::InvalidArgument, attempt + ": the root cannot be linked to");
  const std::string target_name(target.back());
  target.pop_back();

  TRY_DURING(attempt, chain.enter(target));
  auto info = TRY(sys::find_at(chain.fd(), target_name));
  if (!info) {
    TRY_DURING(attempt, copy_up(target_name, chain));
    info = TRY(sys::find_at(chain.fd(), target_name));
  }
  BERTH_ASSERT(info.has_value());
  if (S_ISDIR(info->st_mode)) return fail(Code::InvalidArgument, attempt + ": it is a directory");
  if (TRY(marks_.is_whiteout(chain.fd(), target_name, *info))) {
    return fail(Code::InvalidArgument, attempt + ": this layer removed it");
  }
  const sys::Fd directory = TRY(sys::duplicate(chain.fd()));
  TRY(chain.enter(parent));
  const auto present = TRY(sys::find_at(chain.fd(), name));
  if (present && present->st_dev == info->st_dev && present->st_ino == info->st_ino) return {};
  if (present) TRY(chain.clear(name));
  return sys::link_at(directory.get(), target_name, chain.fd(), name);
}

// Brings a file of a parent layer into this one, as overlayfs does before it links: an inode has one layer.
Result<void> Extractor::copy_up(const std::string& name, DirChain& chain) {
  std::optional<Parents::Found> found;
  if (!chain.hides_parents()) found = TRY(parents_.find(chain.path_of(name)));
  if (!found) return fail(Code::InvalidArgument, "neither this layer nor one below has it");
  const int source = found->directory.get();
  const struct stat& info = found->info;
  const Metadata metadata = TRY(read_metadata(source, found->name, info));
  if (S_ISDIR(info.st_mode)) return fail(Code::InvalidArgument, "it is a directory");
  if (S_ISREG(info.st_mode)) {
    const sys::Fd from = TRY(sys::open_at(source, found->name, O_RDONLY | O_NOFOLLOW));
    const sys::Fd to = TRY(sys::open_at(chain.fd(), name, O_CREAT | O_EXCL | O_WRONLY | O_NOFOLLOW, 0600));
    TRY(sys::copy_bytes(from.get(), to.get(), static_cast<std::uint64_t>(info.st_size)));
    disk_bytes_ += static_cast<std::uint64_t>(info.st_blocks) * 512;
    return writer_.apply(to.get(), metadata);
  }
  if (S_ISLNK(info.st_mode)) {
    TRY(sys::make_symlink_at(TRY(sys::read_link_at(source, found->name)), chain.fd(), name));
  } else {
    TRY(sys::make_node_at(chain.fd(), name, info.st_mode, info.st_rdev));
  }
  return writer_.apply_at(chain.fd(), name, metadata, S_ISLNK(info.st_mode));
}

}  // namespace berth::image
