#include "image/registry/upload.hpp"

#include <fmt/core.h>

#include "base/text.hpp"
#include "image/registry/registry_error.hpp"

namespace berth::image::registry {
namespace {

constexpr std::size_t kMaxMountAttempts = 2;
constexpr std::uint64_t kOneRequestBytes = 1
                                           << 20;  // up to here a blob goes in one request and is not resumed
constexpr std::chrono::seconds kCommitPatience{
    600};  // a registry reads the whole blob again before it says 201

// An upload session (distribution-spec, "Pushing a blob in chunks"): POST opens it, PATCH appends, GET tells
// how far it is, PUT closes it with the digest.
class Upload {
 public:
  Upload(Client& client, const std::string& repository, const Descriptor& blob, int fd,
         SharedObserver& observer)
      : client_(client), repository_(repository), blob_(blob), fd_(fd), observer_(observer) {}

  Result<BlobOutcome> run(const std::vector<std::string>& mount_from);

 private:
  Result<bool> exists();
  Result<bool> mount(const std::string& from);
  Result<void> send_all();
  Result<void> begin();
  Result<void> ask_offset();
  Result<void> append();
  Result<void> finish();
  Result<void> keep_location(const Response& response);
  RequestBody rest() const;
  Request request(std::string method, const Url& url) const;
  Scopes scopes() const { return {fmt::format("repository:{}:pull,push", repository_)}; }

  Client& client_;
  const std::string& repository_;
  const Descriptor& blob_;
  const int fd_;
  SharedObserver& observer_;
  std::optional<Url> location_;  // of the open session
  std::uint64_t offset_ = 0;     // what the registry has of it
};

Request Upload::request(std::string method, const Url& url) const {
  Request request;
  request.method = std::move(method);
  request.url = url;
  request.stall_timeout = kCommitPatience;
  return request;
}

Result<bool> Upload::exists() {
  const Url url = TRY(client_.api(fmt::format("{}/blobs/{}", repository_, blob_.digest.text())));
  const Response response = TRY(client_.attempt(request("HEAD", url), scopes()));
  if (response.status == 200) return true;
  if (response.status == 404) return false;
  return client_.refusal(response, "cannot ask whether it is there");
}

// 201: the registry shares the other repository's blob. 202: it would not, and has opened a session instead.
Result<bool> Upload::mount(const std::string& from) {
  Url url = TRY(client_.api(fmt::format("{}/blobs/uploads/", repository_)));
  url = TRY(TRY(url.with_query("mount", blob_.digest.text())).with_query("from", from));
  Request post = request("POST", url);
  post.body = RequestBody::of("");
  Scopes both = scopes();
  both.push_back(fmt::format("repository:{}:pull", from));
  const Response response = TRY(client_.attempt(post, both));
  if (response.status == 201) return true;
  if (response.status == 202) TRY(keep_location(response));
  return false;
}

Result<void> Upload::keep_location(const Response& response) {
  const auto location = response.headers.find("Location");
  if (!location)
    return fail(Code::InvalidArgument, "the registry names no address (Location) for the upload");
  location_ = TRY_DURING("header field Location", response.url.resolve(*location));
  return {};
}

Result<void> Upload::begin() {
  const Url url = TRY(client_.api(fmt::format("{}/blobs/uploads/", repository_)));
  Request post = request("POST", url);
  post.body = RequestBody::of("");
  const Response response = TRY(client_.attempt(post, scopes()));
  if (response.status != 202) return client_.refusal(response, "cannot begin an upload");
  offset_ = 0;
  return keep_location(response);
}

// How much the registry has: "Range: 0-<last byte>". Registries also say "0-0" for nothing at all, so that,
// like an upload they have forgotten, begins anew.
Result<void> Upload::ask_offset() {
  const Response response = TRY(client_.attempt(request("GET", *location_), scopes()));
  location_.reset();
  if (response.status != 204 && response.status != 200) return {};
  const std::string range = response.headers.find("Range").value_or("");
  const auto last = parse_u64(std::string_view(range).substr(range.find('-') + 1));
  if (!last || *last == 0 || *last >= blob_.size) return {};
  TRY(keep_location(response));
  offset_ = *last + 1;
  return {};
}

RequestBody Upload::rest() const {
  RequestBody body;
  body.fd = fd_;
  body.offset = offset_;
  body.size = blob_.size - offset_;
  return body;
}

Result<void> Upload::append() {
  Request patch = request("PATCH", *location_);
  patch.headers.add("Content-Type", "application/octet-stream");
  patch.headers.add("Content-Range", fmt::format("{}-{}", offset_, blob_.size - 1));
  patch.body = rest();
  patch.on_sent = [this](std::uint64_t sent) { observer_.moved(blob_, offset_ + sent); };
  const Response response = TRY(client_.attempt(patch, scopes()));
  if (response.status == 416)
    return fail(Code::Unavailable, "the registry is at another place of the upload");
  if (response.status != 202 && response.status != 201 && response.status != 204) {
    return client_.refusal(response, "the registry refused the upload");
  }
  offset_ = blob_.size;
  return keep_location(response);
}

Result<void> Upload::finish() {
  Request put = request("PUT", TRY(location_->with_query("digest", blob_.digest.text())));
  put.headers.add("Content-Type", "application/octet-stream");
  put.body = rest();
  put.on_sent = [this](std::uint64_t sent) { observer_.moved(blob_, offset_ + sent); };
  const Response response = TRY(client_.attempt(put, scopes()));
  if (response.status != 201 && response.status != 204) {
    return client_.refusal(response, "the registry did not accept the blob");
  }
  return {};
}

Result<void> Upload::send_all() {
  if (location_ && offset_ > 0) TRY(ask_offset());
  if (!location_) TRY(begin());
  if (blob_.size - offset_ > kOneRequestBytes) {
    auto appended = append();
    if (!appended) {
      offset_ = std::max<std::uint64_t>(offset_, 1);  // some may have arrived: ask before going on
      return appended;
    }
  }
  auto finished = finish();
  if (!finished) location_.reset();  // a session is closed, or broken, once its PUT was sent
  return finished;
}

Result<BlobOutcome> Upload::run(const std::vector<std::string>& mount_from) {
  Backoff backoff(client_.session().backoff);
  std::size_t mounts = 0;
  while (true) {
    const std::uint64_t before = offset_;
    const auto once = [&]() -> Result<BlobOutcome> {
      if (TRY(exists())) return BlobOutcome::Present;
      while (!location_ && mounts < std::min(mount_from.size(), kMaxMountAttempts)) {
        if (TRY(mount(mount_from[mounts++]))) return BlobOutcome::Mounted;
      }
      TRY(send_all());
      return BlobOutcome::Transferred;
    };
    auto outcome = once();
    if (outcome) return outcome;
    if (offset_ > before + kOneRequestBytes) backoff.progress();
    TRY(client_.wait_to_retry(backoff, std::move(outcome).error()));
  }
}

}  // namespace

Result<void> upload_blob(Client& client, const std::string& repository, Store& store, const Descriptor& blob,
                         const std::vector<std::string>& mount_from, SharedObserver& observer) {
  const std::string attempt = "blob " + blob.digest.text();
  const sys::Fd file = TRY_DURING(attempt, store.open_blob(blob.digest));
  const BlobOutcome outcome =
      TRY_DURING(attempt, Upload(client, repository, blob, file.get(), observer).run(mount_from));
  observer.finished(blob, outcome);
  return {};
}

}  // namespace berth::image::registry
