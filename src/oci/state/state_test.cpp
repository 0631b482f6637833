#include "oci/state/state.hpp"

#include <gtest/gtest.h>

#include "base/json_value.hpp"

namespace berth::oci {
namespace {

State example() {
  State state;
  state.oci_version = "1.2.0";
  state.id = "web";
  state.pid = 42;
  state.start_time = 7;
  state.bundle = "/bundle";
  state.root = "/bundle/rootfs";
  state.created = "2026-01-02T03:04:05Z";
  state.cgroup = "a/b";
  state.unit = "conf-web.scope";
  state.annotations = {{"a", "\"quoted\""}, {"b", ""}};
  state.creating = false;
  return state;
}

TEST(State, IsReadAsItWasWritten) {
  const auto read = State::parse("web", example().text());
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(read->text(), example().text());
  EXPECT_EQ(read->pid, 42);
  EXPECT_EQ(read->unit, "conf-web.scope");
  EXPECT_FALSE(read->creating);
}

TEST(State, FilesOfEarlierVersionsAreRead) {
  Json json = *parse_json(example().text(), "state");
  json.erase("unit");
  const auto read = State::parse("web", json.dump());
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(read->unit, "");
}

TEST(State, DamageIsTold) {
  const std::string text = example().text();
  for (std::size_t cut = 0; cut < text.size(); ++cut) EXPECT_FALSE(State::parse("web", text.substr(0, cut)));
  Json json = *parse_json(text, "state");
  for (const Json& pid : {Json(-1), Json(std::uint64_t{1} << 40), Json("x")}) {
    json["pid"] = pid;
    const auto read = State::parse("web", json.dump());
    ASSERT_FALSE(read);
    EXPECT_NE(read.error().message.find("pid"), std::string::npos) << read.error().message;
  }
}

TEST(State, WhatHooksRead) {
  const Json json = *parse_json(state_text(example(), Status::Created).with(9), "state");
  EXPECT_EQ(json["pid"], 9);
  EXPECT_EQ(json["status"], "created");
  EXPECT_EQ(json["id"], "web");
  EXPECT_EQ(json["annotations"]["a"], "\"quoted\"");
}

}  // namespace
}  // namespace berth::oci
