#include "image/layer/dir_chain.hpp"

#include <fmt/core.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "base/text.hpp"

namespace berth::image {
namespace {

constexpr int kMaxSymlinks = 40;  // on one path, as the kernel has it
constexpr mode_t kOwnerAccess = 0700;

// Of directories that neither the archive nor the parents describe. A fixed time keeps unpacking
// deterministic.
Metadata default_directory() { return Metadata{0755, 0, 0, timespec{}, {}}; }

void push_reversed(std::vector<std::string>& pending, std::string_view path) {
  std::vector<std::string> parts = split(path, '/');
  std::erase_if(parts, [](const std::string& part) { return part.empty() || part == "."; });
  pending.insert(pending.end(), parts.rbegin(), parts.rend());
}

}  // namespace

DirChain::DirChain(const Parents& parents, const OverlayMarks& marks, MetadataWriter& writer)
    : parents_(&parents), marks_(&marks), writer_(&writer), privileged_(::geteuid() == 0) {}

Result<DirChain> DirChain::open(const std::string& root, const Parents& parents, const OverlayMarks& marks,
                                MetadataWriter& writer) {
  DirChain chain(parents, marks, writer);
  TRY(chain.push("", TRY(sys::open(root, O_RDONLY | O_DIRECTORY)), false));
  TRY(chain.apply(default_directory(), true));
  return chain;
}

// A root that the archive does not describe looks as the parents have it. Asked for last, since the layer
// below may still be on its way.
Result<void> DirChain::imply_root() {
  if (root_described_ || parents_->empty()) return {};
  const int top = TRY(parents_->top());
  return apply(TRY(read_metadata(top, TRY(sys::stat_of(top)))), true);
}

Result<void> DirChain::enter(std::span<const std::string_view> path) {
  std::size_t depth = 0;
  // The common case: the same directory as the entry before, or one further down.
  while (depth < path.size() && depth + 1 < frames_.size() && frames_[depth + 1].name == path[depth]) ++depth;
  std::vector<std::string> pending;
  for (std::size_t i = path.size(); i > depth; --i) pending.emplace_back(path[i - 1]);

  int symlinks = 0;
  while (!pending.empty()) {
    const std::string part = std::move(pending.back());
    pending.pop_back();
    if (part == "..") {  // of a symlink: everything before it is a real directory by now
      if (depth > 0) --depth;
      continue;
    }
    if (depth + 1 < frames_.size() && frames_[depth + 1].name == part) {
      ++depth;
      continue;
    }
    TRY(leave_to(depth));
    const auto target = TRY(step(part));
    if (!target) {
      ++depth;
      continue;
    }
    if (++symlinks > kMaxSymlinks)
      return fail(Code::InvalidArgument, "its directory is a circle of symlinks");
    if (target->starts_with('/')) depth = 0;
    push_reversed(pending, *target);
  }
  return leave_to(depth);
}

Result<void> DirChain::leave_to(std::size_t depth) {
  while (frames_.size() > depth + 1) {
    Frame& frame = frames_.back();
    if (frame.mode_widened) TRY(sys::set_mode(frame.directory.get(), frame.mode));
    TRY(sys::set_times(frame.directory.get(), frame.mtime));
    frames_.pop_back();
  }
  return {};
}

Result<std::optional<std::string>> DirChain::step(const std::string& name) {
  auto directory = open_directory(name);
  if (directory) {
    TRY(push(name, *std::move(directory), false));
    return std::optional<std::string>{};
  }
  switch (directory.error().sys_errno) {
    case ENOENT:
      return step_into_missing(name);
    case ENOTDIR:
    case ELOOP:
      return step_over_file(name);
    default:
      return fail(std::move(directory).error());
  }
}

Result<std::optional<std::string>> DirChain::step_over_file(const std::string& name) {
  const auto info = TRY(sys::find_at(fd(), name));
  if (info && S_ISLNK(info->st_mode)) return std::optional(TRY(sys::read_link_at(fd(), name)));
  if (info && TRY(marks_->is_whiteout(fd(), name, *info))) {
    TRY(sys::remove_at(fd(), name));
    TRY(make(name, default_directory(), true));
    return std::optional<std::string>{};
  }
  return fail(Code::InvalidArgument, fmt::format("{} on its path is not a directory", quoted(name)));
}

Result<std::optional<std::string>> DirChain::step_into_missing(const std::string& name) {
  std::optional<Parents::Found> found;
  if (!hides_parents()) found = TRY(parents_->find(path_of(name)));
  if (found && S_ISLNK(found->info.st_mode)) {
    return std::optional(TRY(sys::read_link_at(found->directory.get(), found->name)));
  }
  if (found && !S_ISDIR(found->info.st_mode)) {
    return fail(Code::InvalidArgument,
                fmt::format("{} on its path is not a directory in the layers below", quoted(name)));
  }
  const Metadata metadata =
      found ? TRY(read_metadata(found->directory.get(), found->name, found->info)) : default_directory();
  TRY(make(name, metadata, false));
  return std::optional<std::string>{};
}

Result<void> DirChain::set_directory(const std::string& name, const Metadata& metadata) {
  const auto info = TRY(sys::find_at(fd(), name));
  if (info && S_ISDIR(info->st_mode)) {
    TRY(push(name, TRY(open_directory(name)), false));
    return apply(metadata, false);
  }
  const bool whiteout = info && TRY(marks_->is_whiteout(fd(), name, *info));
  if (info) TRY(clear(name));
  return make(name, metadata, whiteout);
}

Result<void> DirChain::set_root(const Metadata& metadata) {
  TRY(leave_to(0));
  root_described_ = true;
  return apply(metadata, false);
}

Result<void> DirChain::make(const std::string& name, const Metadata& metadata, bool opaque) {
  TRY(sys::make_dir_at(fd(), name, kOwnerAccess));
  ++made_;
  TRY(push(name, TRY(open_directory(name)), true));
  TRY(apply(metadata, true));
  if (opaque) TRY(make_opaque());
  return {};
}

Result<void> DirChain::push(const std::string& name, sys::Fd directory, bool fresh) {
  if (frames_.size() > kMaxDepth) {
    return fail(Code::InvalidArgument, fmt::format("more than {} directories deep", kMaxDepth));
  }
  Frame frame{name, std::move(directory)};
  const int opened = frame.directory.get();
  if (!fresh) {
    const struct stat info = TRY(sys::stat_of(opened));
    frame.mtime = info.st_mtim;
    frame.mode = info.st_mode & 07777;
    if (!privileged_ && (frame.mode & kOwnerAccess) != kOwnerAccess) {
      TRY(sys::set_mode(opened, frame.mode | kOwnerAccess));
      frame.mode_widened = true;
    }
  }
  frame.hides_parents = !frames_.empty() && frames_.back().hides_parents;
  if (!fresh && !parents_->empty())
    frame.hides_parents = frame.hides_parents || TRY(marks_->is_opaque(opened));
  frames_.push_back(std::move(frame));
  return {};
}

Result<void> DirChain::apply(const Metadata& metadata, bool fresh) {
  Frame& frame = frames_.back();
  const int directory = frame.directory.get();
  if (!fresh) {
    for (const auto& [key, value] : TRY(sys::read_xattrs(directory))) {
      if (!is_overlay_xattr(key))
        static_cast<void>(sys::remove_xattr(directory, key));  // a label may not go: fine
    }
  }
  TRY(writer_->apply_to_directory(directory, metadata));
  frame.mtime = metadata.mtime;
  frame.mode = metadata.mode;
  frame.mode_widened = !privileged_ && (metadata.mode & kOwnerAccess) != kOwnerAccess;
  if (frame.mode_widened) TRY(sys::set_mode(directory, metadata.mode | kOwnerAccess));
  return {};
}

Result<sys::Fd> DirChain::open_directory(const std::string& name) {
  constexpr int kFlags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW;
  auto opened = sys::open_at(fd(), name, kFlags);
  if (opened || privileged_ || opened.error().sys_errno != EACCES) return opened;
  // Left with a mode that keeps its own owner out: look behind it for as long as the chain is there.
  const auto info = TRY(sys::find_at(fd(), name));
  if (!info || !S_ISDIR(info->st_mode)) return opened;
  TRY(sys::set_mode_at(fd(), name, (info->st_mode & 07777) | kOwnerAccess));
  auto widened = sys::open_at(fd(), name, kFlags);
  if (widened) TRY(sys::set_mode(widened->get(), info->st_mode & 07777));
  return widened;
}

Result<void> DirChain::clear(const std::string& name) {
  TRY_DURING("cannot replace an earlier entry", sys::remove_tree_at(fd(), name));
  ++replaced_;
  return {};
}

Result<void> DirChain::make_opaque() {
  frames_.back().hides_parents = true;
  return marks_->make_opaque(fd());
}

std::vector<std::string> DirChain::path_of(const std::string& name) const {
  std::vector<std::string> path;
  for (std::size_t i = 1; i < frames_.size(); ++i) path.push_back(frames_[i].name);
  path.push_back(name);
  return path;
}

Result<void> DirChain::finish() {
  TRY(leave_to(0));
  TRY(imply_root());
  Frame& root = frames_.front();
  if (root.mode_widened) TRY(sys::set_mode(root.directory.get(), root.mode));
  return sys::set_times(root.directory.get(), root.mtime);
}

}  // namespace berth::image
