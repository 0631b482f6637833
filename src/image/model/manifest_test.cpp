#include "image/model/manifest.hpp"

#include <fmt/core.h>
#include <gtest/gtest.h>

namespace berth::image {
namespace {

std::string digest_text(char c) { return "sha256:" + std::string(64, c); }

std::string descriptor(std::string_view type, char c, std::string_view more = "") {
  return fmt::format(R"({{"mediaType":"{}","digest":"{}","size":7{}}})", type, digest_text(c), more);
}

std::string manifest_text(std::string_view layers, std::string_view more = "") {
  return fmt::format(R"({{"schemaVersion":2,"config":{},"layers":[{}]{}}})",
                     descriptor(media::kOciConfig, 'c'), layers, more);
}

template <typename T>
std::string error_of(const Result<T>& result) {
  return result ? "" : result.error().message;
}

TEST(Manifest, ReadsAndWritesBack) {
  const auto manifest = Manifest::parse(
      manifest_text(descriptor(media::kOciLayerGzip, '1') + "," + descriptor(media::kOciLayerZstd, '2'),
                    R"(,"annotations":{"k":"v"})"));
  ASSERT_TRUE(manifest.has_value()) << manifest.error().message;
  EXPECT_EQ(manifest->media_type, media::kOciManifest);
  ASSERT_EQ(manifest->layers.size(), 2U);
  EXPECT_EQ(manifest->layers[1].digest.text(), digest_text('2'));
  EXPECT_EQ(manifest->layers[1].size, 7U);
  EXPECT_EQ(manifest->annotations.at("k"), "v");
  EXPECT_EQ(Manifest::parse(manifest->dump())->dump(), manifest->dump());
}

TEST(Manifest, ErrorsNameTheField) {
  EXPECT_EQ(error_of(Manifest::parse(R"({"schemaVersion":2})")), "manifest.config: missing");
  EXPECT_EQ(error_of(Manifest::parse(manifest_text(R"({"mediaType":"x","digest":"sha256:1","size":1})")))
                .substr(0, 46),
            "manifest.layers[0].digest: digest \"sha256:1\": ");
  EXPECT_EQ(error_of(Manifest::parse(manifest_text(
                fmt::format(R"({{"mediaType":"x","digest":"{}","size":-1}})", digest_text('1'))))),
            "manifest.layers[0].size: expected a whole number of 0 or more, found a number");
  EXPECT_EQ(error_of(Manifest::parse(manifest_text(fmt::format(
                R"({{"mediaType":"x","digest":"{}","size":18446744073709551615}})", digest_text('1'))))),
            "manifest.layers[0].size: too large");
  EXPECT_NE(error_of(Manifest::parse(R"({"schemaVersion":1})")).find("old signed format"), std::string::npos);
  EXPECT_NE(error_of(Manifest::parse("{")).find("manifest: not valid JSON"), std::string::npos);
  EXPECT_EQ(error_of(Manifest::parse("[]")), "manifest: expected an object, found an array");
}

TEST(Manifest, RefusesToBeAnIndexAsWell) {
  EXPECT_NE(error_of(Manifest::parse(manifest_text("", R"(,"manifests":[])"))), "");
  EXPECT_NE(error_of(Manifest::parse(
                manifest_text("", R"(,"mediaType":"application/vnd.oci.image.index.v1+json")"))),
            "");
  EXPECT_NE(error_of(Index::parse(R"({"schemaVersion":2,"manifests":[],"layers":[]})")), "");
}

TEST(Manifest, BoundsLayersAndSize) {
  std::string layers = descriptor(media::kOciLayer, '1');
  for (std::size_t i = 0; i < kMaxLayers; ++i) layers += "," + descriptor(media::kOciLayer, '1');
  EXPECT_NE(error_of(Manifest::parse(manifest_text(layers))).find("501 layers"), std::string::npos);
  EXPECT_EQ(Manifest::parse(std::string(kMaxManifestBytes + 1, ' ')).error().code, Code::ResourceExhausted);
}

TEST(Index, SelectsThePlatform) {
  const auto index = Index::parse(fmt::format(
      R"({{"schemaVersion":2,"manifests":[{},{},{}]}})",
      descriptor(media::kOciManifest, '0', R"(,"platform":{"os":"unknown","architecture":"unknown"})"),
      descriptor(media::kOciManifest, '1',
                 R"(,"platform":{"os":"linux","architecture":"arm64","variant":"v8"})"),
      descriptor(media::kOciManifest, '2', R"(,"platform":{"os":"linux","architecture":"amd64"})")));
  ASSERT_TRUE(index.has_value()) << index.error().message;
  EXPECT_EQ(index->select(*Platform::parse("linux/amd64"))->digest.text(), digest_text('2'));
  EXPECT_EQ(index->select(*Platform::parse("linux/x86_64"))->digest.text(), digest_text('2'));
  EXPECT_EQ(index->select(*Platform::parse("linux/aarch64"))->digest.text(), digest_text('1'));
  const auto missing = index->select(*Platform::parse("linux/s390x"));
  EXPECT_EQ(error_of(missing), "the image has nothing for linux/s390x; it has: linux/arm64/v8, linux/amd64");
  EXPECT_EQ(missing.error().code, Code::NotFound);
  EXPECT_EQ(Index::parse(index->dump())->dump(), index->dump());
}

TEST(Platform, ParsesAndMatches) {
  EXPECT_EQ(Platform::host().os, "linux");
  EXPECT_EQ(Platform::parse("linux/arm/v7")->text(), "linux/arm/v7");
  EXPECT_TRUE((Platform{"linux", "arm", "v7"}).matches(*Platform::parse("linux/arm")));
  EXPECT_FALSE((Platform{"linux", "arm", "v6"}).matches(*Platform::parse("linux/arm/v7")));
  for (const char* bad : {"", "linux", "linux/", "a/b/c/d", "linux/am d64"}) {
    EXPECT_FALSE(Platform::parse(bad).has_value()) << bad;
  }
}

constexpr std::string_view kConfig = R"({"os":"linux","architecture":"amd64","created":"2026-01-02T03:04:05Z",
  "author":"me","config":{"User":"1:2","WorkingDir":"/w","StopSignal":"SIGINT","Env":["A=b"],"Entrypoint":["/e"],
  "Cmd":["c","d"],"Volumes":{"/v":{}},"ExposedPorts":{"80/tcp":{}},"Labels":{"l":"m"},
  "Healthcheck":{"Test":["CMD","true"],"Interval":1000,"Retries":3}},
  "rootfs":{"type":"layers","diff_ids":["sha256:1111111111111111111111111111111111111111111111111111111111111111"]},
  "history":[{"created_by":"ADD","comment":"x"},{"created_by":"ENV","empty_layer":true}]})";

TEST(ImageConfig, ReadsAndWritesBack) {
  const auto config = ImageConfig::parse(kConfig);
  ASSERT_TRUE(config.has_value()) << config.error().message;
  EXPECT_EQ(config->user, "1:2");
  EXPECT_EQ(config->env, std::vector<std::string>{"A=b"});
  EXPECT_EQ(config->cmd, (std::vector<std::string>{"c", "d"}));
  EXPECT_EQ(config->volumes, std::vector<std::string>{"/v"});
  EXPECT_EQ(config->exposed_ports, std::vector<std::string>{"80/tcp"});
  EXPECT_EQ(config->labels.at("l"), "m");
  EXPECT_EQ(config->healthcheck->interval_ns, 1000);
  EXPECT_TRUE(config->history[1].empty_layer);
  EXPECT_EQ(ImageConfig::parse(config->dump())->dump(), config->dump());
}

TEST(ImageConfig, NullAndAbsentMembersMeanNothing) {
  const auto config = ImageConfig::parse(
      R"({"os":"linux","architecture":"amd64","config":{"Env":null,"Cmd":null,"Volumes":null},
          "rootfs":{"type":"layers","diff_ids":null}})");
  ASSERT_TRUE(config.has_value()) << config.error().message;
  EXPECT_TRUE(config->cmd.empty() && config->env.empty() && config->diff_ids.empty());
}

TEST(ImageConfig, ErrorsNameTheField) {
  const auto with = [](std::string_view config) {
    return error_of(ImageConfig::parse(fmt::format(
        R"({{"os":"linux","architecture":"amd64","config":{},"rootfs":{{"type":"layers"}}}})", config)));
  };
  EXPECT_EQ(with(R"({"Cmd":"sh"})"), "image configuration.config.Cmd: expected an array, found a string");
  EXPECT_EQ(with(R"({"Cmd":["a",1]})"),
            "image configuration.config.Cmd[1]: expected a string, found a number");
  EXPECT_EQ(with(R"({"User":"a\u0000b"})"), "image configuration.config.User: holds a NUL character");
  EXPECT_EQ(with(R"({"Env":["=x"]})"), "image configuration.config: Env[0]: \"=x\" is not NAME=VALUE");
  EXPECT_EQ(error_of(ImageConfig::parse("{}")), "image configuration.os: missing");
}

// Values from image-spec's definition, computed with sha256sum.
TEST(ImageConfig, ChainIdsFollowTheSpecification) {
  const Digest one = *Digest::parse(digest_text('1'));
  const Digest two = *Digest::parse(digest_text('2'));
  const auto chain = chain_ids({one, two, two});
  ASSERT_EQ(chain.size(), 3U);
  EXPECT_EQ(chain[0], one);
  EXPECT_EQ(chain[1], digest_of(one.text() + " " + two.text()));
  EXPECT_EQ(chain[2], digest_of(chain[1].text() + " " + two.text()));
}

}  // namespace
}  // namespace berth::image
