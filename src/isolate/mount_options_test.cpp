#include "isolate/mount_options.hpp"

#include <gtest/gtest.h>
#include <sys/mount.h>

#include <algorithm>

namespace berth::isolate {
namespace {

MountOptions parse(const std::vector<std::string>& words) {
  auto options = parse_mount_options(words, "options");
  EXPECT_TRUE(options) << options.error().message;
  return *std::move(options);
}

// Every word of the specification's table (config.md, "Linux mount options", 1.2).
TEST(MountOptions, KnowsTheSpecificationsWords) {
  const std::vector<std::string> specified = {"async",
                                              "atime",
                                              "bind",
                                              "defaults",
                                              "dev",
                                              "diratime",
                                              "dirsync",
                                              "exec",
                                              "iversion",
                                              "lazytime",
                                              "loud",
                                              "mand",
                                              "noatime",
                                              "nodev",
                                              "nodiratime",
                                              "noexec",
                                              "noiversion",
                                              "nolazytime",
                                              "nomand",
                                              "norelatime",
                                              "nostrictatime",
                                              "nosuid",
                                              "nosymfollow",
                                              "private",
                                              "ratime",
                                              "rbind",
                                              "rdev",
                                              "rdiratime",
                                              "relatime",
                                              "remount",
                                              "rexec",
                                              "rnoatime",
                                              "rnodev",
                                              "rnodiratime",
                                              "rnoexec",
                                              "rnorelatime",
                                              "rnostrictatime",
                                              "rnosuid",
                                              "rnosymfollow",
                                              "ro",
                                              "rprivate",
                                              "rrelatime",
                                              "rro",
                                              "rrw",
                                              "rshared",
                                              "rslave",
                                              "rstrictatime",
                                              "rsuid",
                                              "rsymfollow",
                                              "runbindable",
                                              "rw",
                                              "shared",
                                              "silent",
                                              "slave",
                                              "strictatime",
                                              "suid",
                                              "symfollow",
                                              "sync",
                                              "tmpcopyup",
                                              "unbindable",
                                              "idmap",
                                              "ridmap"};
  const auto known = mount_option_words();
  for (const std::string& word : specified) {
    EXPECT_TRUE(std::binary_search(known.begin(), known.end(), word)) << word;
    EXPECT_TRUE(parse({word}).data.empty()) << word;
  }
  EXPECT_EQ(std::adjacent_find(known.begin(), known.end()), known.end());
}

TEST(MountOptions, LaterWordsWin) {
  const MountOptions options = parse({"ro", "nosuid", "rw", "noatime", "relatime", "rro"});
  EXPECT_EQ(options.mount.set, attr::kNoSuid);
  EXPECT_EQ(options.mount.clear, attr::kReadOnly | attr::kAtimeMask);
  EXPECT_EQ(options.tree.set, attr::kReadOnly);
  const MountOptions strict = parse({"rw", "noatime", "strictatime", "ro"});
  EXPECT_EQ(strict.mount.set, attr::kStrictAtime | attr::kReadOnly);
  EXPECT_EQ(strict.mount.clear, attr::kAtimeMask);
}

TEST(MountOptions, TellsDataFromWords) {
  const MountOptions options = parse({"nosuid", "mode=755", "size=65536k", "newinstance", "sync", "x="});
  ASSERT_EQ(options.data.size(), 4U);
  EXPECT_EQ(options.data[0], std::pair(std::string("mode"), std::string("755")));
  EXPECT_EQ(options.data[2], std::pair(std::string("newinstance"), std::string()));
  EXPECT_EQ(options.superblock.at(0).first, "sync");
}

TEST(MountOptions, PropagationKeepsItsOrder) {
  const MountOptions options = parse({"rbind", "rslave", "shared", "ridmap"});
  EXPECT_TRUE(options.bind && options.recursive_bind);
  ASSERT_EQ(options.propagation.size(), 2U);
  EXPECT_EQ(options.propagation[0].kind, std::uint64_t{MS_SLAVE});
  EXPECT_TRUE(options.propagation[0].recursive);
  EXPECT_FALSE(options.propagation[1].recursive);
  EXPECT_EQ(options.shift, IdShift::Tree);
  EXPECT_FALSE(parse_propagation("rslavex"));
}

TEST(MountOptions, ErrorsNameTheWord) {
  const auto message = [](const std::vector<std::string>& words) {
    const auto options = parse_mount_options(words, "mounts[1].options");
    return options ? std::string("accepted") : options.error().message;
  };
  EXPECT_TRUE(message({"ro", ""}).starts_with("mounts[1].options[1]: "));
  EXPECT_TRUE(message({"=x"}).starts_with("mounts[1].options[0]: "));
  EXPECT_TRUE(message({"bind", "noexecc"}).starts_with("mounts[1].options[1]: \"noexecc\" is not an option"));
  EXPECT_TRUE(message({"k=" + std::string(256, 'x')}).find("255 bytes") != std::string::npos);
}

}  // namespace
}  // namespace berth::isolate
