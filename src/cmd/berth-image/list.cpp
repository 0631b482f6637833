// ls and history.
#include <fmt/core.h>

#include <CLI/CLI.hpp>
#include <algorithm>

#include "base/json_value.hpp"
#include "base/text.hpp"
#include "cmd/berth-image/declare.hpp"
#include "term/listing.hpp"

namespace berth::cmd {
namespace {

using image::ImageRecord;
using image::Reference;
using image::Store;

std::string age_of(const std::string& rfc3339) {
  const auto when = parse_rfc3339(rfc3339);
  if (!when) return "N/A";
  const auto age = std::chrono::system_clock::now() - *when;
  return format_age(std::chrono::duration_cast<std::chrono::seconds>(age)) + " ago";
}

struct LsOptions {
  bool all = false;
  bool quiet = false;
  bool no_trunc = false;
  bool digests = false;
  std::string name;
  std::vector<std::string> filters;
};

// "busybox" matches every tag of it, "busybox:1" that one only.
bool matches_name(const ImageRecord& record, const std::string& wanted) {
  const auto have = Reference::parse(record.name);
  if (!have) return false;
  for (const std::string& form : {wanted, "localhost/" + wanted}) {
    const auto asked = Reference::parse(form);
    if (!asked || asked->name() != have->name()) continue;
    const bool says_tag = form.find(':', form.rfind('/') + 1) != std::string::npos || asked->digest;
    if (!says_tag || asked->text() == have->text()) return true;
  }
  return false;
}

Result<bool> passes(const ImageRecord& record, const std::string& filter) {
  const auto equals = filter.find('=');
  const std::string key = filter.substr(0, equals);
  const std::string value = equals == std::string::npos ? "" : filter.substr(equals + 1);
  if (key == "reference") return matches_name(record, value);
  if (key == "dangling" && (value == "true" || value == "false"))
    return record.name.empty() == (value == "true");
  return fail(Code::InvalidArgument,
              fmt::format("--filter {}: use reference=NAME, dangling=true or dangling=false", filter));
}

Result<bool> wanted(const ImageRecord& record, const LsOptions& options) {
  if (!options.name.empty() && !matches_name(record, options.name)) return false;
  for (const std::string& filter : options.filters) {
    if (!TRY(passes(record, filter))) return false;
  }
  return true;
}

std::vector<term::Cell> ls_row(const ImageRecord& record, const std::string& created,
                               const image::ImageSizes& sizes, bool no_trunc) {
  const auto reference = Reference::parse(record.name);
  const std::string none = "<none>";
  std::string repository = reference ? reference->familiar() : none;
  const std::string tag = reference && !reference->tag.empty() ? reference->tag : none;
  if (reference) repository.resize(std::min(repository.find('@'), repository.size()));
  if (tag != none) repository.resize(repository.size() - tag.size() - 1);
  return {repository,
          tag,
          record.manifest.digest.text(),
          term::Cell(Json(record.config.text()), no_trunc ? record.config.text() : record.config.short_id()),
          term::Cell(Json(created), age_of(created)),
          created,
          term::Cell(Json(sizes.total_bytes()), format_size(sizes.total_bytes())),
          term::Cell(Json(sizes.shared_bytes), format_size(sizes.shared_bytes)),
          term::Cell(Json(sizes.own_bytes), format_size(sizes.own_bytes)),
          record.name};
}

Result<int> ls(const Context& context, const LsOptions& options) {
  Store store = TRY(context.open_store());
  const auto sizes = TRY(store.sizes());
  term::Listing listing({{"Repository", "REPOSITORY"},
                         {"Tag", "TAG"},
                         {"Digest", options.digests ? "DIGEST" : ""},
                         {"ID", "IMAGE ID"},
                         {"CreatedSince", "CREATED"},
                         {"CreatedAt", ""},
                         {"Size", "SIZE"},
                         {"SharedSize", "SHARED"},
                         {"UniqueSize", "OWN"},
                         {"Name", ""}});
  std::vector<std::string> ids;
  for (const ImageRecord& record : TRY(store.list_images())) {
    if (!TRY(wanted(record, options))) continue;
    const std::string id = options.no_trunc ? record.config.text() : record.config.short_id();
    if (std::find(ids.begin(), ids.end(), id) == ids.end()) ids.push_back(id);
    const auto size = sizes.find(record.manifest.digest);
    const auto config = store.config_of(record);  // one damaged image must not hide the others
    listing.add(ls_row(record, config ? config->created : "",
                       size == sizes.end() ? image::ImageSizes{} : size->second, options.no_trunc));
  }
  if (options.quiet) {
    TRY(print(ids.empty() ? "" : join(ids, "\n") + "\n"));
  } else {
    TRY(print(TRY(listing.render(context.format))));
  }
  return 0;
}

struct HistoryOptions {
  bool quiet = false;
  bool no_trunc = false;
  std::string name;
};

constexpr std::size_t kShownCreatedBy = 45;

std::string shortened(const std::string& text, bool no_trunc) {
  return no_trunc || text.size() <= kShownCreatedBy ? text : text.substr(0, kShownCreatedBy - 3) + "...";
}

Result<int> history(const Context& context, const HistoryOptions& options) {
  Store store = TRY(context.open_store());
  const ImageRecord record = TRY(store.get_image(options.name));
  const auto config = TRY(store.config_of(record));
  const auto manifest = TRY(store.manifest_of(record));
  const auto layers = TRY(store.layers_of(record));
  term::Listing listing({{"ID", "IMAGE"},
                         {"CreatedSince", "CREATED"},
                         {"CreatedBy", "CREATED BY"},
                         {"Size", "SIZE"},
                         {"Comment", "COMMENT"}});
  std::vector<std::vector<term::Cell>> rows;
  std::size_t layer = 0;
  for (const auto& entry : config.history) {
    std::uint64_t size = 0;
    if (!entry.empty_layer && layer < layers.size()) {
      size = layers[layer].size_bytes > 0 ? layers[layer].size_bytes : manifest.layers[layer].size;
      ++layer;
    }
    const std::string created_by = options.quiet ? "" : entry.created_by;
    rows.push_back({"<missing>", term::Cell(Json(entry.created), age_of(entry.created)),
                    term::Cell(Json(created_by), shortened(created_by, options.no_trunc)),
                    term::Cell(Json(size), format_size(size)), entry.comment});
  }
  if (!rows.empty()) {
    rows.back()[0] = term::Cell(Json(record.config.text()),
                                options.no_trunc ? record.config.text() : record.config.short_id());
  }
  std::string ids;
  for (auto row = rows.rbegin(); row != rows.rend(); ++row) {
    ids += row->front().text + "\n";
    listing.add(std::move(*row));
  }
  TRY(print(options.quiet ? ids : TRY(listing.render(context.format))));
  return 0;
}

}  // namespace

Action declare_ls(CLI::App& app) {
  auto options = std::make_shared<LsOptions>();
  app.alias("list");
  app.add_flag("-a,--all", options->all, "Accepted for Docker's habit: all images are always listed");
  app.add_flag("-q,--quiet", options->quiet, "Print ids only");
  app.add_flag("--no-trunc", options->no_trunc, "Print whole ids");
  app.add_flag("--digests", options->digests, "Show manifest digests");
  app.add_option("-f,--filter", options->filters, "reference=NAME, dangling=true|false")
      ->type_name("KEY=VALUE")
      ->allow_extra_args(false);
  app.add_option("NAME", options->name, "Only images of this name");
  return [options](const Context& context) { return ls(context, *options); };
}

Action declare_history(CLI::App& app) {
  auto options = std::make_shared<HistoryOptions>();
  app.add_flag("-q,--quiet", options->quiet, "Print ids only");
  app.add_flag("--no-trunc", options->no_trunc, "Print everything in full");
  app.add_option("IMAGE", options->name, "Name or id")->required();
  return [options](const Context& context) { return history(context, *options); };
}

}  // namespace berth::cmd
