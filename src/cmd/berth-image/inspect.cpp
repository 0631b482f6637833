// inspect: Docker's document for an image, as far as it has a meaning here.
#include <CLI/CLI.hpp>

#include "base/json_value.hpp"
#include "cmd/berth-image/declare.hpp"
#include "term/listing.hpp"

namespace berth::cmd {
namespace {

using image::ImageRecord;
using image::Reference;
using image::Store;

Json names_json(const std::vector<ImageRecord>& all, const ImageRecord& image, bool digests) {
  Json names = Json::array();
  for (const ImageRecord& record : all) {
    if (record.manifest.digest != image.manifest.digest || record.name.empty()) continue;
    const auto reference = Reference::parse(record.name);
    if (!reference) continue;
    if (digests)
      names.push_back(reference->name() + "@" + record.manifest.digest.text());
    else if (!reference->tag.empty())
      names.push_back(reference->name() + ":" + reference->tag);
  }
  return names;
}

Json layers_json(Store& store, const std::vector<image::LayerRecord>& layers) {
  Json list = Json::array();
  for (const auto& layer : layers) {
    Json item{{"DiffID", layer.diff_id.text()}, {"ChainID", layer.chain_id.text()}};
    if (layer.size_bytes > 0) {
      item["Size"] = layer.size_bytes;
      item["Directory"] = store.layer_dir(layer.chain_id);
    }
    list.push_back(std::move(item));
  }
  return list;
}

Result<Json> describe(Store& store, const std::string& name) {
  const ImageRecord record = TRY(store.get_image(name));
  const auto config = TRY(store.config_of(record));
  const auto all = TRY(store.list_images());
  const auto sizes = TRY(store.sizes())[record.manifest.digest];
  // The configuration as it was written: also members that berth does not act on.
  const Json raw = TRY(parse_json(TRY(store.read_blob(record.config)), "image configuration"));
  return Json{{"Id", record.config.text()},
              {"Digest", record.manifest.digest.text()},
              {"MediaType", record.manifest.media_type},
              {"RepoTags", names_json(all, record, false)},
              {"RepoDigests", names_json(all, record, true)},
              {"Created", config.created},
              {"Author", config.author},
              {"Architecture", config.platform.architecture},
              {"Os", config.platform.os},
              {"Variant", config.platform.variant},
              {"Size", sizes.total_bytes()},
              {"SharedSize", sizes.shared_bytes},
              {"UniqueSize", sizes.own_bytes},
              {"Config", raw.value("config", Json::object())},
              {"RootFS", raw.value("rootfs", Json::object())},
              {"Layers", layers_json(store, TRY(store.layers_of(record)))}};
}

Result<int> inspect(const Context& context, const std::vector<std::string>& names) {
  Store store = TRY(context.open_store());
  Json documents = Json::array();
  int code = 0;
  for (const std::string& name : names) {
    auto document = describe(store, name);
    if (document) {
      documents.push_back(*std::move(document));
    } else {
      complain(document.error());
      code = kSomeFailed;
    }
  }
  const bool as_json = context.format.empty() || context.format == "json";
  if (as_json) TRY(print(TRY(term::render_document(documents, "json"))));
  for (const Json& document : documents) {
    if (!as_json) TRY(print(TRY(term::render_document(document, context.format))));
  }
  return code;
}

}  // namespace

Action declare_inspect(CLI::App& app) {
  auto names = std::make_shared<std::vector<std::string>>();
  app.add_option("IMAGE", *names, "Names or ids")->required();
  return [names](const Context& context) { return inspect(context, *names); };
}

}  // namespace berth::cmd
