#include "image/registry/auth_file.hpp"

#include <gtest/gtest.h>
#include <stdlib.h>

#include "base/text.hpp"
#include "image/registry/credential_helper.hpp"
#include "sys/fd.hpp"

namespace berth::image::registry {
namespace {

std::string entry(std::string_view pair) { return R"({"auth": ")" + base64_encode(pair) + R"("})"; }

TEST(AuthFile, TheMostSpecificEntryWins) {
  const auto file =
      AuthFile::parse(R"({"auths": {"reg.example": )" + entry("all:1") + R"(, "reg.example/team": )" +
                          entry("team:2") + R"(, "reg.example/team/app": )" + entry("app:3:4") + "}}",
                      "auth.json");
  ASSERT_TRUE(file.has_value()) << file.error().message;
  EXPECT_EQ(file->find("reg.example", "team/app")->username, "app");
  EXPECT_EQ(file->find("reg.example", "team/app")->password, "3:4");
  EXPECT_EQ(file->find("reg.example", "team/other")->username, "team");
  EXPECT_EQ(file->find("reg.example", "teams")->username, "all");
  EXPECT_EQ(file->find("reg.example", "")->username, "all");
  EXPECT_EQ(file->find("reg.example:5000", "team"), nullptr);
}

TEST(AuthFile, DockersSpellings) {
  EXPECT_EQ(registry_key("https://index.docker.io/v1/"), "docker.io");
  EXPECT_EQ(registry_key("registry-1.docker.io"), "docker.io");
  EXPECT_EQ(registry_key("https://Reg.Example:5000/v2/"), "reg.example:5000");
  EXPECT_EQ(registry_key("reg.example/Team"), "reg.example/Team");
}

TEST(AuthFile, HelpersAndTokens) {
  const auto file = AuthFile::parse(
      R"({"auths": {"a.example": {}, "b.example": {"identitytoken": "t"}},
          "credHelpers": {"c.example": "pass"}, "credsStore": "desktop", "unknown": [1]})",
      "config.json");
  ASSERT_TRUE(file.has_value()) << file.error().message;
  EXPECT_EQ(file->find("a.example", ""), nullptr);
  EXPECT_EQ(file->find("b.example", "x/y")->identity_token, "t");
  EXPECT_EQ(file->helper_for("c.example"), "pass");
  EXPECT_EQ(file->helper_for("d.example"), "desktop");
}

TEST(AuthFile, ErrorsNameTheFieldAndNeverTheSecret) {
  const auto message = [](std::string_view json) {
    const auto file = AuthFile::parse(json, "auth.json");
    return file ? std::string() : file.error().message;
  };
  EXPECT_NE(message(R"({"auths": {"a.example": {"auth": "%%%"}}})").find("a.example.auth"),
            std::string::npos);
  const std::string no_colon = message(R"({"auths": {"a.example": )" + entry("hunter2") + "}}");
  EXPECT_NE(no_colon.find("a.example.auth"), std::string::npos);
  EXPECT_EQ(no_colon.find("hunter2"), std::string::npos);
  EXPECT_NE(message(R"({"credHelpers": {"a.example": "../../bin/sh"}})").find("credHelpers"),
            std::string::npos);
  // A line break in a password would be one in a header field.
  EXPECT_NE(message(R"({"auths": {"a.example": )" + entry("u:p\r\nX: y") + "}}"), "");
}

TEST(CredentialHelper, Answers) {
  const auto plain = parse_helper_answer(R"({"ServerURL": "x", "Username": "u", "Secret": "s"})", "test");
  ASSERT_TRUE(plain.has_value());
  EXPECT_EQ(plain->username, "u");
  EXPECT_EQ(plain->password, "s");
  const auto token = parse_helper_answer(R"({"Username": "<token>", "Secret": "s"})", "test");
  ASSERT_TRUE(token.has_value());
  EXPECT_EQ(token->identity_token, "s");
  EXPECT_TRUE(token->username.empty());
  const auto broken = parse_helper_answer(R"({"Username": "u", "Secret": "hunter2)", "test");
  ASSERT_FALSE(broken.has_value());
  EXPECT_EQ(broken.error().message.find("hunter2"), std::string::npos);
}

class AuthFileOnDisk : public ::testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = ::testing::TempDir() + "berth-auth-XXXXXX";
    directory_ = ::mkdtemp(pattern.data());
    path_ = directory_ + "/containers/auth.json";
  }
  void TearDown() override { ASSERT_TRUE(sys::remove_tree(directory_).has_value()); }

  std::string directory_;
  std::string path_;
};

TEST_F(AuthFileOnDisk, StoreFindErase) {
  const Credentials credentials{"user", "pa:ss", "", ""};
  ASSERT_TRUE(store_credentials(path_, "reg.example:5000", credentials).has_value());
  EXPECT_EQ(sys::stat(path_)->st_mode & 07777, 0600U);
  const auto found = find_credentials("reg.example:5000", "a/b", path_);
  ASSERT_TRUE(found.has_value() && found->has_value());
  EXPECT_EQ((*found)->password, "pa:ss");
  EXPECT_TRUE(erase_credentials(path_, "reg.example:5000").value());
  EXPECT_FALSE(erase_credentials(path_, "reg.example:5000").value());
  EXPECT_FALSE(find_credentials("reg.example:5000", "a/b", path_)->has_value());
}

TEST_F(AuthFileOnDisk, WhatOthersWroteStays) {
  ASSERT_TRUE(sys::make_dir(directory_ + "/containers").has_value());
  ASSERT_TRUE(sys::replace_file(path_, R"({"credHelpers": {"h.example": "pass"}, "psFormat": "x"})", 0644)
                  .has_value());
  ASSERT_TRUE(store_credentials(path_, "reg.example", {"u", "p", "", ""}).has_value());
  const std::string text = *sys::read_file(path_);
  EXPECT_NE(text.find("psFormat"), std::string::npos);
  EXPECT_NE(text.find("h.example"), std::string::npos);
  EXPECT_EQ(sys::stat(path_)->st_mode & 07777, 0600U);
}

TEST_F(AuthFileOnDisk, AChosenFileMustExist) {
  const auto found = find_credentials("reg.example", "", path_);
  ASSERT_FALSE(found.has_value());
  EXPECT_EQ(found.error().code, Code::NotFound);
}

}  // namespace
}  // namespace berth::image::registry
