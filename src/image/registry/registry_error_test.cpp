#include "image/registry/registry_error.hpp"

#include <gtest/gtest.h>

#include "image/registry/authenticator.hpp"

namespace berth::image::registry {
namespace {

Response response(int status, std::string body) {
  Response made;
  made.status = status;
  made.body = std::move(body);
  return made;
}

TEST(RegistryError, TheRegistrysOwnWords) {
  const Error error = status_error(
      response(404,
               R"({"errors": [{"code": "MANIFEST_UNKNOWN", "message": "manifest unknown", "detail": {}}]})"),
      "manifest latest");
  EXPECT_EQ(error.code, Code::NotFound);
  EXPECT_EQ(error.message, "manifest latest: HTTP status 404: MANIFEST_UNKNOWN: manifest unknown");
}

TEST(RegistryError, StrangeBodiesAreHarmless) {
  for (const char* body :
       {"", "<html>", "[]", "{}", R"({"errors": 3})", R"({"errors": [1, null, {"code": 5}]})"}) {
    EXPECT_EQ(status_error(response(503, body), "x").message.find("x: HTTP status 503"), 0U) << body;
  }
  const Error error = status_error(response(400, R"({"errors": [{"code": "A\u001b[31m", "message": ")" +
                                                     std::string(9999, 'm') + R"("}]})"),
                                   "x");
  EXPECT_EQ(error.message.find('\x1b'), std::string::npos);
  EXPECT_LT(error.message.size(), 500U);
}

TEST(RegistryError, WhatMayPass) {
  for (const int status : {408, 429, 500, 502, 503, 504}) {
    EXPECT_EQ(status_error(response(status, ""), "x").code, Code::Unavailable) << status;
  }
  for (const int status : {400, 401, 403, 404, 501}) {
    EXPECT_NE(status_error(response(status, ""), "x").code, Code::Unavailable) << status;
  }
}

TEST(RegistryError, RetryAfter) {
  const auto after = [](const char* value) {
    Response made;
    made.headers.add("retry-after", value);
    return retry_after(made);
  };
  EXPECT_EQ(after("3"), std::optional<std::chrono::milliseconds>(3000));
  EXPECT_FALSE(after("soon").has_value());
  EXPECT_FALSE(after("Thu, 01 Jan 1970 00:00:10 GMT").has_value());
  EXPECT_TRUE(after("Fri, 01 Jan 2100 00:00:00 GMT").has_value());
  EXPECT_LE(*after("99999999999"), std::chrono::hours(24));
}

TEST(TokenAnswer, BothSpellingsAndTheDefaultLife) {
  EXPECT_EQ(TokenAnswer::parse(R"({"token": "a"})")->token, "a");
  EXPECT_EQ(TokenAnswer::parse(R"({"access_token": "b", "expires_in": 300})")->life,
            std::chrono::seconds(300));
  EXPECT_EQ(TokenAnswer::parse(R"({"token": "a"})")->life, std::chrono::seconds(60));
  EXPECT_EQ(TokenAnswer::parse(R"({"token": "a", "expires_in": -5})")->life, std::chrono::seconds(1));
}

TEST(TokenAnswer, RefusesWhatCannotBeAHeaderField) {
  EXPECT_FALSE(TokenAnswer::parse(R"({"token": "a\r\nX: y"})").has_value());
  EXPECT_FALSE(TokenAnswer::parse(R"({"token": ""})").has_value());
  EXPECT_FALSE(TokenAnswer::parse("{}").has_value());
  const auto broken = TokenAnswer::parse(R"({"token": "hunter2)");
  ASSERT_FALSE(broken.has_value());
  EXPECT_EQ(broken.error().message.find("hunter2"), std::string::npos);
}

}  // namespace
}  // namespace berth::image::registry
