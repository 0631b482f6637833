#include "image/registry/download.hpp"

#include <fmt/core.h>

#include "base/text.hpp"
#include "image/registry/printable.hpp"

namespace berth::image::registry {
namespace {

// Fewer new bytes than this in an attempt do not count as progress: a registry that gives one byte a
// connection is not humoured for ever.
constexpr std::uint64_t kProgressBytes = 64 << 10;

struct ContentRange {
  std::uint64_t first = 0;
  std::optional<std::uint64_t> total;
};

// "bytes 100-199/1000" (RFC 9110, section 14.4).
std::optional<ContentRange> parse_content_range(std::string_view field) {
  if (!field.starts_with("bytes ")) return std::nullopt;
  field.remove_prefix(6);
  const auto dash = field.find('-');
  const auto slash = field.find('/');
  if (dash == std::string_view::npos || slash == std::string_view::npos) return std::nullopt;
  const auto first = parse_u64(trim(field.substr(0, dash)));
  if (!first) return std::nullopt;
  return ContentRange{*first, parse_u64(trim(field.substr(slash + 1)))};
}

class Download {
 public:
  Download(Client& client, const std::string& repository, const Descriptor& blob, BlobWriter& writer,
           SharedObserver& observer)
      : client_(client), repository_(repository), blob_(blob), writer_(writer), observer_(observer) {}

  // Gets all that is missing; true where part of the blob is from an earlier request.
  Result<bool> run();

 private:
  Result<void> attempt();
  Result<void> take(int status, const Headers& headers, std::string_view bytes);
  Result<void> begin(int status, const Headers& headers);
  Failure wrong_length(std::string_view told) const;

  Client& client_;
  const std::string& repository_;
  const Descriptor& blob_;
  BlobWriter& writer_;
  SharedObserver& observer_;
  bool begun_ = false;    // this attempt's first bytes were seen
  bool resumed_ = false;  // part of what is there came with an earlier request
};

Failure Download::wrong_length(std::string_view told) const {
  return fail(Code::DataLoss,
              fmt::format("the manifest says {} bytes, the registry says {}", blob_.size, told));
}

// The first bytes of an answer: do they go on where we are?
Result<void> Download::begin(int status, const Headers& headers) {
  begun_ = true;
  if (status == 206) {
    const auto range = parse_content_range(headers.find("Content-Range").value_or(""));
    if (!range || range->first != writer_.offset()) {
      return fail(Code::InvalidArgument, "the registry answers with another range than was asked for");
    }
    if (range->total && *range->total != blob_.size) return wrong_length(fmt::format("{}", *range->total));
    return {};
  }
  if (writer_.offset() > 0) {
    resumed_ = false;
    TRY(writer_.restart());
  }
  const auto length = headers.find("Content-Length");
  if (length && parse_u64(*length) != blob_.size) return wrong_length(printable(*length, 40));
  return {};
}

Result<void> Download::take(int status, const Headers& headers, std::string_view bytes) {
  if (!begun_) TRY(begin(status, headers));
  if (bytes.size() > blob_.size - writer_.offset()) return wrong_length("more");
  TRY(writer_.write(bytes));
  observer_.moved(blob_, writer_.offset());
  return {};
}

Result<void> Download::attempt() {
  Request request;
  request.url = TRY(client_.api(fmt::format("{}/blobs/{}", repository_, blob_.digest.text())));
  const std::uint64_t start = writer_.offset();
  if (start > 0) {
    request.headers.add("Range", fmt::format("bytes={}-", start));
    resumed_ = true;
  }
  begun_ = false;
  request.sink = [this](int status, const Headers& headers, std::string_view bytes) {
    return take(status, headers, bytes);
  };
  const Response response = TRY(client_.attempt(request, {fmt::format("repository:{}:pull", repository_)}));
  if (response.status == 416) {
    TRY(writer_.restart());
    return fail(Code::Unavailable, "the registry cannot resume this blob; starting over");
  }
  if (response.status != 200 && response.status != 206)
    return client_.refusal(response, "the registry refused");
  if (writer_.offset() < blob_.size) {
    return fail(Code::Unavailable,
                fmt::format("the registry sent {} of {} bytes", writer_.offset(), blob_.size));
  }
  return {};
}

Result<bool> Download::run() {
  Backoff backoff(client_.session().backoff);
  resumed_ = writer_.offset() > 0;
  observer_.moved(blob_, writer_.offset());
  while (writer_.offset() < blob_.size) {
    const std::uint64_t before = writer_.offset();
    auto done = attempt();
    if (done) continue;
    if (writer_.offset() >= before + kProgressBytes) backoff.progress();
    TRY(client_.wait_to_retry(backoff, std::move(done).error()));
  }
  return resumed_;
}

}  // namespace

Result<void> download_blob(Client& client, const std::string& repository, Store& store,
                           const Descriptor& blob, SharedObserver& observer) {
  const std::string attempt = "blob " + blob.digest.text();
  if (TRY_DURING(attempt, store.has_blob(blob.digest))) {
    observer.finished(blob, BlobOutcome::Present);
    return {};
  }
  for (bool again = false;; again = true) {
    BlobWriter writer = TRY_DURING(attempt, store.write_blob(blob));
    const bool resumed = TRY_DURING(attempt, Download(client, repository, blob, writer, observer).run());
    auto committed = writer.commit();
    if (committed) break;
    // What an earlier attempt left may be what is wrong: one more try, with every byte fresh.
    const bool retry = resumed && !again && committed.error().code == Code::DataLoss;
    if (!retry) return fail(std::move(committed).error().during(attempt));
  }
  observer.finished(blob, BlobOutcome::Transferred);
  return {};
}

}  // namespace berth::image::registry
