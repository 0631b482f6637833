#include "oci/spec/spec.hpp"

#include <gtest/gtest.h>
#include <sched.h>

#include "base/json_value.hpp"
#include "oci/spec/default_config.hpp"

namespace berth::oci {
namespace {

// The default configuration with a change, as text.
template <typename Change>
std::string changed(Change change) {
  Json config = *parse_json(default_config({}), "config");
  change(config);
  return config.dump();
}

template <typename Change>
std::string message(Change change) {
  const auto spec = Spec::parse(changed(change));
  return spec ? "no error" : spec.error().message;
}

TEST(Spec, TheDefaultConfiguration) {
  const auto spec = Spec::parse(default_config({}));
  ASSERT_TRUE(spec) << spec.error().message;
  EXPECT_EQ(spec->oci_version, kMaxVersion);
  EXPECT_TRUE(spec->process.terminal);
  EXPECT_TRUE(spec->root_read_only);
  EXPECT_TRUE(spec->platform.namespaces.is_new(CLONE_NEWNET));
  EXPECT_EQ(spec->platform.namespaces.find(CLONE_NEWUSER), nullptr);
  EXPECT_EQ(spec->platform.resources.devices.size(), 1U);
}

TEST(Spec, TheDefaultConfigurationOfAnOrdinaryUser) {
  const auto spec = Spec::parse(default_config(OrdinaryUser{1000, 1001}));
  ASSERT_TRUE(spec) << spec.error().message;
  const Namespaces& namespaces = spec->platform.namespaces;
  EXPECT_TRUE(namespaces.is_new(CLONE_NEWUSER));
  EXPECT_EQ(namespaces.find(CLONE_NEWNET), nullptr);
  ASSERT_EQ(namespaces.uid_mappings.size(), 1U);
  EXPECT_EQ(namespaces.uid_mappings[0].outside, 1000U);
  EXPECT_EQ(namespaces.gid_mappings[0].outside, 1001U);
  EXPECT_TRUE(spec->platform.resources.devices.empty());
  for (const auto& mount : spec->mounts) {
    EXPECT_NE(mount.type, "cgroup");
    for (const auto& [key, value] : mount.options.data) EXPECT_NE(key, "gid");
  }
}

TEST(Spec, ErrorsNameTheField) {
  EXPECT_EQ(message([](Json&) {}), "no error");
  const auto names = [](const std::string& text, std::string_view field) {
    EXPECT_NE(text.find(field), std::string::npos) << text;
  };
  names(message([](Json& c) { c.erase("ociVersion"); }), "ociVersion");
  names(message([](Json& c) { c["ociVersion"] = "2.0.0"; }), "ociVersion");
  names(message([](Json& c) { c["process"]["cwd"] = "relative"; }), "config.process.cwd");
  names(message([](Json& c) { c["process"]["user"]["uid"] = -1; }), "config.process.user.uid");
  names(message([](Json& c) { c["process"]["args"] = {1}; }), "config.process.args");
  names(message([](Json& c) { c["root"].erase("path"); }), "config.root");
  names(message([](Json& c) { c["mounts"][3]["destination"] = ""; }), "config.mounts[3].destination");
  names(message([](Json& c) {
          c["linux"]["namespaces"].push_back({{"type", "pid"}});
        }),
        "config.linux.namespaces[6]");
  names(message([](Json& c) { c["linux"]["maskedPaths"] = {"proc"}; }), "config.linux.maskedPaths[0]");
  names(message([](Json& c) {
          c["hooks"]["poststop"] = {{{"path", "x"}}};
        }),
        "config.hooks.poststop[0].path");
  names(message([](Json& c) { c["annotations"]["run.oci.pidfd_receiver"] = "x"; }),
        "config.annotations.run.oci.pidfd_receiver");
}

TEST(Spec, AnnotationsForTheRuntime) {
  const auto spec = Spec::parse(changed([](Json& c) {
    c["annotations"] = {{"run.oci.keep_original_groups", "1"},
                        {"run.oci.hooks.stderr", "/log"},
                        {"org.systemd.property.TasksMax", "uint64 5"},
                        {"org.example.own", "kept"}};
  }));
  ASSERT_TRUE(spec) << spec.error().message;
  EXPECT_TRUE(spec->wishes.keep_groups);
  EXPECT_EQ(spec->wishes.hooks_stderr, "/log");
  ASSERT_EQ(spec->wishes.systemd_properties.size(), 1U);
  EXPECT_EQ(spec->wishes.systemd_properties[0].first, "TasksMax");
  EXPECT_EQ(spec->annotations.size(), 4U);
}

TEST(Spec, WhatIsNoDocument) {
  for (const char* text : {"", "{", "[]", "null", "{}", R"({"ociVersion":"1.0.2"})"})
    EXPECT_FALSE(Spec::parse(text)) << text;
  const std::string deep = std::string(10000, '[') + std::string(10000, ']');
  EXPECT_FALSE(Spec::parse(deep));
}

}  // namespace
}  // namespace berth::oci
