// pack_layer: the way back from a directory, and that both ways together change nothing.
#include <fmt/core.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>
#include <map>
#include <random>

#include "image/layer/layer_fixture.hpp"
#include "image/layer/metadata.hpp"

namespace berth::image {
namespace {

using namespace fixture;

class PackTest : public LayerTest {
 protected:
  void SetUp() override {
    LayerTest::SetUp();
    if (::geteuid() != 0) GTEST_SKIP() << "owners, devices and whiteouts need root";
  }

  Result<PackedLayer> pack(const std::string& tree, Compression compression, bool plain = false) {
    const sys::Fd out = TRY(sys::open(scratch_ + "/packed", O_CREAT | O_TRUNC | O_WRONLY, 0600));
    const PackedLayer packed = TRY(pack_layer(tree, out.get(), compression, plain));
    bytes_ = TRY(sys::read_file(scratch_ + "/packed"));
    return packed;
  }

  std::string bytes_;
};

// Everything about a tree that a layer keeps, one line a file.
void describe(int directory, const std::string& prefix, std::map<ino_t, std::string>& inodes,
              std::string& text) {
  const std::vector<std::string> names = *sys::list_names(directory);
  for (const std::string& name : names) {
    const struct stat info = **sys::find_at(directory, name);
    const auto first = inodes.try_emplace(info.st_ino, prefix + name).first->second;
    text += fmt::format("{}{} {:o} {}:{} {} {}.{} first={}", prefix, name, info.st_mode, info.st_uid,
                        info.st_gid, info.st_rdev, info.st_mtim.tv_sec, info.st_mtim.tv_nsec, first);
    const std::vector<sys::Xattr> xattrs = *sys::read_xattrs_at(directory, name);
    for (const auto& [key, value] : xattrs) text += fmt::format(" {}={}", key, value);
    if (S_ISLNK(info.st_mode)) text += " -> " + *sys::read_link_at(directory, name);
    if (S_ISREG(info.st_mode)) text += " " + *sys::read_all(sys::open_at(directory, name, O_RDONLY)->get());
    text += '\n';
    if (S_ISDIR(info.st_mode)) {
      describe(sys::open_at(directory, name, O_RDONLY)->get(), prefix + name + "/", inodes, text);
    }
  }
}

std::string description(const std::string& tree) {
  std::string text;
  std::map<ino_t, std::string> inodes;
  describe(sys::open(tree, O_RDONLY)->get(), "", inodes, text);
  return text;
}

// A tree of `count` random files of every kind, with random metadata, below `root`.
class RandomTree {
 public:
  RandomTree(unsigned seed, int root) : random_(seed), root_(root) {}

  void make(int count) {
    directories_.push_back("");
    for (int i = 0; i < count; ++i) make_one(i);
    for (auto path = made_.rbegin(); path != made_.rend(); ++path) {  // children before their directory
      ASSERT_TRUE(
          sys::set_times_at(root_, *path, {pick(2'000'000'000) - 1'000'000'000, pick(1'000'000'000)}));
    }
  }

 private:
  long pick(long below) { return static_cast<long>(random_() % static_cast<unsigned long>(below)); }

  std::string name(int number) {
    std::string text(static_cast<std::size_t>(pick(120)) + 1, 'n');
    for (char& c : text) c = static_cast<char>(pick(255) + 1);
    std::replace(text.begin(), text.end(), '/', '_');
    return std::to_string(number) + text;
  }

  void make_one(int number) {
    const std::string path =
        directories_[static_cast<std::size_t>(pick(static_cast<long>(directories_.size())))] + name(number);
    if (path.size() > 3500) return;
    const long kind = pick(8);
    if (kind == 0) {
      ASSERT_TRUE(sys::make_dir_at(root_, path, 0755));
      directories_.push_back(path + "/");
    } else if (kind == 1) {
      ASSERT_TRUE(sys::make_symlink_at(name(number), root_, path));
    } else if (kind == 2) {
      ASSERT_TRUE(
          sys::make_node_at(root_, path, S_IFCHR | 0600, ::makedev(5, static_cast<unsigned>(pick(9)) + 1)));
    } else if (kind == 3 && !files_.empty()) {
      ASSERT_TRUE(sys::link_at(
          root_, files_[static_cast<std::size_t>(pick(static_cast<long>(files_.size())))], root_, path));
      made_.push_back(path);
      return;
    } else {
      const sys::Fd file = *sys::open_at(root_, path, O_CREAT | O_WRONLY, 0600);
      ASSERT_TRUE(sys::write_all(file.get(), std::string(static_cast<std::size_t>(pick(3000)), 'c')));
      files_.push_back(path);
    }
    made_.push_back(path);
    decorate(path, kind == 1, kind == 2);
  }

  void decorate(const std::string& path, bool is_link, bool is_node) {
    ASSERT_TRUE(sys::set_owner_at(root_, path, static_cast<uid_t>(pick(4'000'000'000)),
                                  static_cast<gid_t>(pick(70000))));
    if (!is_link && !is_node && pick(2) == 0) {
      ASSERT_TRUE(sys::set_xattr_at(root_, path,
                                    {"user.note", std::string(static_cast<std::size_t>(pick(50)), '=')}));
    }
    if (!is_link) {
      ASSERT_TRUE(sys::set_mode_at(root_, path, static_cast<mode_t>(pick(010000))));
    }
  }

  std::mt19937_64 random_;
  int root_;
  std::vector<std::string> directories_;
  std::vector<std::string> files_;
  std::vector<std::string> made_;
};

TEST_F(PackTest, PackingAndUnpackingChangesNothing) {
  for (unsigned seed = 1; seed <= 6; ++seed) {
    const std::string tree = scratch_ + "/tree" + std::to_string(seed);
    ASSERT_TRUE(sys::make_dir(tree).has_value());
    RandomTree(seed, sys::open(tree, O_RDONLY)->get()).make(150);
    for (const Compression compression : {Compression::None, Compression::Gzip, Compression::Zstd}) {
      const auto packed = pack(tree, compression);
      ASSERT_TRUE(packed.has_value()) << packed.error().message;
      EXPECT_EQ(packed->digest, digest_of(bytes_));
      EXPECT_EQ(packed->size_bytes, bytes_.size());
      const auto unpacked = unpack(bytes_);
      ASSERT_TRUE(unpacked.has_value()) << unpacked.error().message;
      EXPECT_EQ(unpacked->diff_id, packed->diff_id);
      EXPECT_EQ(description(layer()), description(tree)) << "seed " << seed;
    }
  }
}

TEST_F(PackTest, TheSameTreeGivesTheSameBytes) {
  ASSERT_TRUE(unpack(file("b") + file("a") + directory("d/") + file("d/x") + end()).has_value());
  const std::string first = layer();
  ASSERT_TRUE(unpack(directory("d/") + file("d/x") + file("a") + file("b") + end()).has_value());
  ASSERT_TRUE(pack(first, Compression::Gzip).has_value());
  const std::string bytes = bytes_;
  ASSERT_TRUE(pack(layer(), Compression::Gzip).has_value());
  EXPECT_EQ(bytes, bytes_);
}

TEST_F(PackTest, OverlaysMarksBecomeWhiteoutsAndBack) {
  ASSERT_TRUE(unpack(file("d/.wh.gone") + file("o/.wh..wh..opq") + file("o/x") + end()).has_value());
  const std::string tree = layer();
  ASSERT_TRUE(pack(tree, Compression::None).has_value());
  EXPECT_NE(bytes_.find("d/.wh.gone"), std::string::npos);
  EXPECT_NE(bytes_.find("o/.wh..wh..opq"), std::string::npos);
  ASSERT_TRUE(unpack(bytes_).has_value());
  EXPECT_EQ(description(layer()), description(tree));
  ASSERT_TRUE(pack(tree, Compression::None, true).has_value());
  EXPECT_EQ(bytes_.find(".wh."), std::string::npos);
}

TEST_F(PackTest, ANameThatWouldReadAsAWhiteoutIsRefused) {
  ASSERT_TRUE(unpack(file("a") + end()).has_value());
  ASSERT_TRUE(sys::replace_file(at(".wh.x"), "").has_value());
  const auto packed = pack(layer(), Compression::None);
  ASSERT_FALSE(packed.has_value());
  EXPECT_NE(packed.error().message.find(".wh.x"), std::string::npos) << packed.error().message;
}

TEST_F(PackTest, AFullDiskIsSaid) {
  ASSERT_TRUE(unpack(file("a", std::string(1 << 20, 'x')) + end()).has_value());
  const sys::Fd full = *sys::open("/dev/full", O_WRONLY);
  const auto packed = pack_layer(layer(), full.get(), Compression::None, false);
  ASSERT_FALSE(packed.has_value());
  EXPECT_EQ(packed.error().code, Code::ResourceExhausted);
}

}  // namespace
}  // namespace berth::image
