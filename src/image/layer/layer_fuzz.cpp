// Unpacks hostile layers into a directory on a tmpfs and checks that nothing beside it changed. Half of the
// inputs are archives as they are (their header checksums set right, or nothing would get past them); the
// other half spell sequences of entries over few names, which meet each other in every order.
#include <sys/mman.h>
#include <unistd.h>

#include <cstdlib>

#include "base/log.hpp"
#include "image/layer/handmade_tar.hpp"
#include "image/layer/layer.hpp"
#include "sys/entry.hpp"

namespace {

using namespace berth;
using namespace berth::image;

constexpr const char* kCanary = "untouched";

class Arena {
 public:
  Arena() {
    std::string pattern = "/dev/shm/berth-fuzz-XXXXXX";
    root_ = ::mkdtemp(pattern.data());
    BERTH_ASSERT(sys::make_dir(root_ + "/outside", 0700));
    BERTH_ASSERT(sys::replace_file(root_ + "/outside/canary", kCanary, 0600));
    check();
  }
  ~Arena() { static_cast<void>(sys::remove_tree(root_)); }

  std::string fresh_target() const {
    BERTH_ASSERT(sys::remove_tree(root_ + "/target"));
    BERTH_ASSERT(sys::make_dir(root_ + "/target"));
    return root_ + "/target";
  }

  void check() const {
    const sys::Fd root = *sys::open(root_, O_RDONLY | O_DIRECTORY);
    const sys::Fd outside = *sys::open(root_ + "/outside", O_RDONLY | O_DIRECTORY);
    const std::vector<std::string> names = *sys::list_names(root.get());
    for (const std::string& name : names) BERTH_ASSERT(name == "outside" || name == "target");
    BERTH_ASSERT(sys::list_names(outside.get())->size() == 1);
    const struct stat info = *sys::stat(root_ + "/outside/canary");
    BERTH_ASSERT(info.st_nlink == 1 && (info.st_mode & 07777) == 0600 && info.st_uid == ::geteuid());
    BERTH_ASSERT(*sys::read_file(root_ + "/outside/canary") == kCanary);
  }

 private:
  std::string root_;
};

void repair_checksums(std::string& archive) {
  for (std::size_t at = 0; at + 512 <= archive.size(); at += 512) {
    if (archive.compare(at + 257, 5, "ustar") != 0) continue;
    std::string block = archive.substr(at, 512);
    fixture::put_checksum(block);
    archive.replace(at, 512, block);
  }
}

// Each entry takes three bytes: type, name, target.
std::string spelled(const std::string& bytes) {
  static const std::vector<std::string> names = {
      "a",          "a/b",     "a/b/c",        "b",
      "b/a",        "./",      "a/",           "b/a/",
      ".wh.a",      "a/.wh.b", ".wh..wh..opq", "a/.wh..wh..opq",
      "../outside", "a/../b",  "/a",           "../outside/canary"};
  static const std::vector<std::string> targets = {"a",  "a/b",         "b/a",        "/",
                                                   "..", "../..",       "../outside", "../outside/canary",
                                                   ".",  "/../outside", "b",          "a/b/c"};
  std::string archive;
  for (std::size_t at = 0; at + 3 <= bytes.size(); at += 3) {
    const auto pick = [&](std::size_t i) { return static_cast<unsigned char>(bytes[at + i]); };
    fixture::Header header{names[pick(1) % names.size()], "0125346"[pick(0) % 7]};
    header.link = targets[pick(2) % targets.size()];
    if (header.type == '0') header.content = std::string(pick(2) % 3, 'x');
    header.mode = 0777U & (pick(0) * 5U);
    header.minor = pick(2) % 4U;
    archive += fixture::entry(header);
  }
  return archive + fixture::end();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const unsigned char* data, std::size_t size) {
  static const Arena arena;
  static const bool quiet = (log::configure("fuzz", log::Level::Error), true);
  if (size == 0 || !quiet) return 0;
  std::string archive(reinterpret_cast<const char*>(data) + 1, size - 1);
  if ((data[0] & 1U) != 0) {
    archive = spelled(archive);
  } else {
    repair_checksums(archive);
  }
  UnpackOptions options;
  options.limits = {1 << 20, 1000, 4096, 1 << 16};
  options.user_xattrs = (data[0] & 2U) != 0;
  options.keep_owner = (data[0] & 4U) != 0 && ::geteuid() == 0;

  const std::string target = arena.fresh_target();
  const sys::Fd blob(::memfd_create("blob", MFD_CLOEXEC));
  BERTH_ASSERT(sys::write_all(blob.get(), archive));
  ::lseek(blob.get(), 0, SEEK_SET);
  const auto layer = unpack_layer(blob.get(), target, options);
  if (layer) BERTH_ASSERT(layer->diff_id == digest_of(archive) || (data[0] & 1U) == 0);
  arena.check();
  return 0;
}
