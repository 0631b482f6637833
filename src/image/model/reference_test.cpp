#include "image/model/reference.hpp"

#include <gtest/gtest.h>

namespace berth::image {
namespace {

const std::string kHex(64, 'a');

TEST(Reference, ShortFormsResolveLikeDockers) {
  const std::pair<std::string, std::string> cases[] = {
      {"busybox", "docker.io/library/busybox:latest"},
      {"busybox:1.36", "docker.io/library/busybox:1.36"},
      {"user/app", "docker.io/user/app:latest"},
      {"docker.io/busybox", "docker.io/library/busybox:latest"},
      {"index.docker.io/busybox", "docker.io/library/busybox:latest"},
      {"localhost/x", "localhost/x:latest"},
      {"host:5000/x", "host:5000/x:latest"},
      {"HOST/x", "HOST/x:latest"},
      {"[::1]:5000/x/y:t", "[::1]:5000/x/y:t"},
      {"quay.io/a/b/c_d__e-f---g.h:v1.2_3-4", "quay.io/a/b/c_d__e-f---g.h:v1.2_3-4"},
      {"busybox@sha256:" + kHex, "docker.io/library/busybox@sha256:" + kHex},
      {"r.io/a:t@sha256:" + kHex, "r.io/a:t@sha256:" + kHex},
  };
  for (const auto& [typed, full] : cases) {
    const auto reference = Reference::parse(typed);
    ASSERT_TRUE(reference.has_value()) << typed << ": " << reference.error().message;
    EXPECT_EQ(reference->text(), full) << typed;
    EXPECT_EQ(Reference::parse(reference->familiar())->text(), full) << reference->familiar();
  }
}

TEST(Reference, FamiliarIsTheShortestForm) {
  EXPECT_EQ(Reference::parse("docker.io/library/busybox")->familiar(), "busybox:latest");
  EXPECT_EQ(Reference::parse("docker.io/user/app:1")->familiar(), "user/app:1");
  EXPECT_EQ(Reference::parse("docker.io/library/a/b")->familiar(), "library/a/b:latest");
  EXPECT_EQ(Reference::parse("docker.io/localhost/b")->familiar(), "docker.io/localhost/b:latest");
}

TEST(Reference, RefusesWhatTheGrammarDoes) {
  for (const std::string bad : {"",
                                ":",
                                "Busybox",
                                "a//b",
                                "/a",
                                "a/",
                                "a:b:c",
                                "a:",
                                "a:.x",
                                "a:-x",
                                "a b",
                                "a..b",
                                "a___b",
                                "_a",
                                "a_",
                                "a-.b",
                                "host:99999/x",
                                "host:port/x",
                                "-h.io/x",
                                "h..io/x",
                                "[::1/x",
                                "[]/x",
                                "[gg]:1/x",
                                "a@sha256:12",
                                "a@md5:00",
                                "a@",
                                "../a",
                                "a/../b",
                                "localhost:5000",
                                "localhost:5000/"}) {
    const auto reference = Reference::parse(bad);
    if (bad == "localhost:5000") {  // read as repository "localhost" with tag "5000", as Docker does
      EXPECT_TRUE(reference.has_value());
      continue;
    }
    ASSERT_FALSE(reference.has_value()) << bad;
    EXPECT_EQ(reference.error().code, Code::InvalidArgument) << bad;
  }
  EXPECT_FALSE(Reference::parse(kHex).has_value());
  EXPECT_FALSE(Reference::parse("a:" + std::string(129, 'x')).has_value());
  EXPECT_FALSE(Reference::parse(std::string(300, 'x')).has_value());
  EXPECT_FALSE(Reference::parse(std::string_view("a\0b", 3)).has_value());
}

}  // namespace
}  // namespace berth::image
