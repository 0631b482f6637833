#include "image/registry/manifest_fetch.hpp"

#include <fmt/core.h>

#include "base/json_value.hpp"
#include "base/text.hpp"
#include "image/registry/printable.hpp"

namespace berth::image::registry {
namespace {

constexpr int kMaxNesting = 3;

std::string accepted_types() {
  return fmt::format("{}, {}, {}, {}", media::kOciManifest, media::kOciIndex, media::kDockerManifest,
                     media::kDockerList);
}

// The digest by which `bytes` are to be known, in the algorithm that the name asks for.
Digest digest_as(const std::optional<Digest>& expected, std::string_view bytes) {
  Hasher hasher(expected ? expected->algorithm() : "sha256");
  hasher.update(bytes);
  return hasher.finish();
}

Result<void> check_claim(const Response& response, const Digest& actual, std::string_view bytes) {
  const auto claim = response.headers.find("Docker-Content-Digest");
  if (!claim) return {};
  const Digest claimed = TRY_DURING("header field Docker-Content-Digest", Digest::parse(*claim));
  if (claimed == actual || claimed == digest_as(claimed, bytes)) return {};
  return fail(Code::DataLoss,
              fmt::format("the registry says it is {}, but its digest is {}", claimed.text(), actual.text()));
}

// The media type: what the document says of itself, else what the registry says. They may not contradict each
// other, or two readers could take one digest for different images (distribution-spec, CVE-2021-41190).
Result<std::string> media_type_of(const Response& response, const std::string& bytes) {
  const std::string field = response.headers.find("Content-Type").value_or("");
  const std::string told = lower(trim(std::string_view(field).substr(0, field.find(';'))));
  if (told.starts_with("application/vnd.docker.distribution.manifest.v1+")) {
    return fail(
        Code::Unimplemented,
        "the registry has it only in Docker's old schema 1, which berth does not read: push it again with a "
        "current tool");
  }
  const Json document = TRY(parse_json(bytes, "manifest"));
  const bool index = document.is_object() && document.contains("manifests");
  const std::string own =
      index ? TRY(Index::parse(bytes)).media_type : TRY(Manifest::parse(bytes)).media_type;
  const bool contradicts = (is_manifest(told) || is_index(told)) && is_index(told) != index;
  if (contradicts) {
    return fail(Code::InvalidArgument,
                fmt::format("the registry calls it {}, but the document is {}", printable(told, 80), own));
  }
  return own;
}

}  // namespace

Result<FetchedManifest> fetch_manifest(Client& client, const std::string& repository, const std::string& name,
                                       const std::optional<Digest>& expected) {
  Request request;
  request.url = TRY(client.api(fmt::format("{}/manifests/{}", repository, name)));
  request.headers.add("Accept", accepted_types());
  request.max_body_bytes = kMaxManifestBytes;
  const std::string attempt =
      fmt::format("manifest {} of {}/{}", name, client.session().registry(), repository);
  Response response =
      TRY_DURING(attempt, client.exchange(request, {fmt::format("repository:{}:pull", repository)}));
  if (response.status != 200) return client.refusal(response, attempt);
  FetchedManifest fetched;
  fetched.bytes = std::move(response.body);
  fetched.descriptor.digest = digest_as(expected, fetched.bytes);
  fetched.descriptor.size = fetched.bytes.size();
  if (expected && fetched.descriptor.digest != *expected) {
    return fail(Code::DataLoss, fmt::format("{}: the registry sent something else: its digest is {}", attempt,
                                            fetched.descriptor.digest.text()));
  }
  TRY_DURING(attempt, check_claim(response, fetched.descriptor.digest, fetched.bytes));
  fetched.descriptor.media_type = TRY_DURING(attempt, media_type_of(response, fetched.bytes));
  return fetched;
}

Result<FetchedManifest> fetch_image_manifest(Client& client, const Reference& image,
                                             const Platform& platform) {
  std::optional<Digest> expected = image.digest;
  std::string name = expected ? expected->text() : image.tag;
  for (int depth = 0; depth < kMaxNesting; ++depth) {
    FetchedManifest fetched = TRY(fetch_manifest(client, image.repository, name, expected));
    if (is_manifest(fetched.descriptor.media_type)) return fetched;
    const Index index = TRY(Index::parse(fetched.bytes));
    const Descriptor chosen = TRY(index.select(platform));
    expected = chosen.digest;
    name = chosen.digest.text();
  }
  return fail(Code::InvalidArgument,
              fmt::format("index {}: indexes within indexes, more than {} deep", name, kMaxNesting));
}

}  // namespace berth::image::registry
