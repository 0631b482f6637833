#include "image/registry/url.hpp"

#include <gtest/gtest.h>

namespace berth::image::registry {
namespace {

TEST(Url, PartsAndOrigin) {
  const Url url = *Url::parse("https://Reg.Example/v2/a?x=1#frag");
  EXPECT_EQ(url.host(), "reg.example:443");
  EXPECT_TRUE(url.is_https());
  EXPECT_EQ(url.text().find('#'), std::string::npos);
  EXPECT_EQ(url.without_query().find("x=1"), std::string::npos);
  EXPECT_TRUE(url.same_origin(*Url::parse("https://reg.example:443/other")));
  EXPECT_FALSE(url.same_origin(*Url::parse("http://reg.example:443/")));
  EXPECT_FALSE(url.same_origin(*Url::parse("https://reg.example:444/")));
  EXPECT_FALSE(url.same_origin(*Url::parse("https://reg.example.evil/")));
}

TEST(Url, Resolution) {
  const Url base = *Url::parse("http://127.0.0.1:5000/v2/a/blobs/uploads/");
  EXPECT_EQ(base.resolve("/v2/b?_state=x")->text(), "http://127.0.0.1:5000/v2/b?_state=x");
  EXPECT_EQ(base.resolve("uuid")->text(), "http://127.0.0.1:5000/v2/a/blobs/uploads/uuid");
  EXPECT_EQ(base.resolve("//cdn.example/x")->host(), "cdn.example:80");
  EXPECT_EQ(base.resolve("https://cdn.example/x")->host(), "cdn.example:443");
}

TEST(Url, Queries) {
  const Url url = *Url::parse("https://a.example/token?service=x");
  EXPECT_EQ(url.with_query("scope", "repository:a/b:pull,push&x=1")->text(),
            "https://a.example/token?service=x&scope=repository%3aa%2fb%3apull%2cpush%26x%3d1");
}

TEST(Url, RefusesWhatIsNotAnHonestAddress) {
  for (const char* text : {"", "ftp://a.example/", "file:///etc/passwd", "https://user:pw@a.example/",
                           "https://a.example/\r\nX: y", "https://a b/", "https://", "gopher://a.example"}) {
    EXPECT_FALSE(Url::parse(text).has_value()) << text;
  }
  EXPECT_FALSE(Url::parse("https://a.example/" + std::string(20'000, 'a')).has_value());
  EXPECT_FALSE(Url::parse("https://a.example/")->resolve("file:///etc/passwd").has_value());
}

}  // namespace
}  // namespace berth::image::registry
