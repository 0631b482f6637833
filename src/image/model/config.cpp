// Image configurations (image-spec 1.1, config.md), with Docker's Healthcheck.
#include <fmt/core.h>

#include "base/json_value.hpp"
#include "image/model/manifest.hpp"
#include "image/model/write_json.hpp"

namespace berth::image {
namespace {

constexpr std::size_t kMaxHistory = 10'000;

// These strings end up in system calls, where a NUL would silently cut them.
Result<std::string> without_nul(const JsonView& view) {
  std::string text = TRY(view.as_string());
  if (text.find('\0') != std::string::npos) return view.bad("holds a NUL character");
  return text;
}

Result<std::string> text_or_empty(const JsonView& object, std::string_view key) {
  const auto member = TRY(object.find(key));
  return member ? without_nul(*member) : Result<std::string>(std::string());
}

Result<std::vector<std::string>> texts_or_empty(const JsonView& object, std::string_view key) {
  std::vector<std::string> texts;
  for (const JsonView& item : TRY(object.array_or_empty(key))) texts.push_back(TRY(without_nul(item)));
  return texts;
}

Result<std::vector<std::string>> read_env(const JsonView& object) {
  std::vector<std::string> env = TRY(texts_or_empty(object, "Env"));
  for (std::size_t i = 0; i < env.size(); ++i) {
    if (env[i].empty() || env[i][0] == '=') {
      return object.bad(fmt::format("Env[{}]: \"{}\" is not NAME=VALUE", i, env[i]));
    }
  }
  return env;
}

// A Go map[string]struct{}: only the keys mean something.
Result<std::vector<std::string>> read_key_set(const JsonView& object, std::string_view key) {
  std::vector<std::string> keys;
  const auto member = TRY(object.find(key));
  if (!member) return keys;
  for (const auto& [name, value] : TRY(member->as_object())) {
    if (name.find('\0') != std::string::npos) return member->bad("a key holds a NUL character");
    keys.push_back(name);
  }
  return keys;
}

Result<std::map<std::string, std::string>> read_labels(const JsonView& object) {
  std::map<std::string, std::string> labels;
  const auto member = TRY(object.find("Labels"));
  if (!member) return labels;
  for (const auto& [key, value] : TRY(member->as_object())) labels[key] = TRY(value.as_string());
  return labels;
}

Result<std::int64_t> duration_or_zero(const JsonView& object, std::string_view key) {
  const std::int64_t value = TRY(object.int_or(key, 0));
  if (value < 0) return object.bad(fmt::format("{}: must not be negative", key));
  return value;
}

Result<std::optional<Healthcheck>> read_healthcheck(const JsonView& object) {
  const auto member = TRY(object.find("Healthcheck"));
  if (!member) return std::optional<Healthcheck>{};
  Healthcheck check;
  check.test = TRY(texts_or_empty(*member, "Test"));
  check.interval_ns = TRY(duration_or_zero(*member, "Interval"));
  check.timeout_ns = TRY(duration_or_zero(*member, "Timeout"));
  check.start_period_ns = TRY(duration_or_zero(*member, "StartPeriod"));
  check.retries = TRY(duration_or_zero(*member, "Retries"));
  return std::optional<Healthcheck>(std::move(check));
}

Result<void> read_run_defaults(const JsonView& object, ImageConfig& config) {
  config.user = TRY(text_or_empty(object, "User"));
  config.working_dir = TRY(text_or_empty(object, "WorkingDir"));
  config.stop_signal = TRY(text_or_empty(object, "StopSignal"));
  config.env = TRY(read_env(object));
  config.entrypoint = TRY(texts_or_empty(object, "Entrypoint"));
  config.cmd = TRY(texts_or_empty(object, "Cmd"));
  config.volumes = TRY(read_key_set(object, "Volumes"));
  config.exposed_ports = TRY(read_key_set(object, "ExposedPorts"));
  config.labels = TRY(read_labels(object));
  config.healthcheck = TRY(read_healthcheck(object));
  return {};
}

Result<std::vector<Digest>> read_diff_ids(const JsonView& document) {
  const JsonView rootfs = TRY(document.at("rootfs"));
  const JsonView type = TRY(rootfs.at("type"));
  if (TRY(type.as_string()) != "layers") return type.bad("expected \"layers\"");
  std::vector<Digest> diff_ids;
  for (const JsonView& item : TRY(rootfs.array_or_empty("diff_ids"))) {
    diff_ids.push_back(TRY_DURING(item.path(), Digest::parse(TRY(item.as_string()))));
  }
  if (diff_ids.size() > kMaxLayers) return rootfs.bad(fmt::format("diff_ids: more than {}", kMaxLayers));
  return diff_ids;
}

Result<std::vector<HistoryEntry>> read_history(const JsonView& document) {
  std::vector<HistoryEntry> history;
  for (const JsonView& item : TRY(document.array_or_empty("history"))) {
    if (history.size() == kMaxHistory)
      return document.bad(fmt::format("history: more than {} entries", kMaxHistory));
    history.push_back({TRY(item.string_or("created", "")), TRY(item.string_or("created_by", "")),
                       TRY(item.string_or("comment", "")), TRY(item.bool_or("empty_layer", false))});
  }
  return history;
}

Json key_set_json(const std::vector<std::string>& keys) {
  Json json = Json::object();
  for (const std::string& key : keys) json[key] = Json::object();
  return json;
}

Json healthcheck_json(const Healthcheck& check) {
  Json json{{"Test", check.test}};
  if (check.interval_ns != 0) json["Interval"] = check.interval_ns;
  if (check.timeout_ns != 0) json["Timeout"] = check.timeout_ns;
  if (check.start_period_ns != 0) json["StartPeriod"] = check.start_period_ns;
  if (check.retries != 0) json["Retries"] = check.retries;
  return json;
}

Json run_defaults_json(const ImageConfig& config) {
  Json json = Json::object();
  if (!config.user.empty()) json["User"] = config.user;
  if (!config.working_dir.empty()) json["WorkingDir"] = config.working_dir;
  if (!config.stop_signal.empty()) json["StopSignal"] = config.stop_signal;
  if (!config.env.empty()) json["Env"] = config.env;
  if (!config.entrypoint.empty()) json["Entrypoint"] = config.entrypoint;
  if (!config.cmd.empty()) json["Cmd"] = config.cmd;
  if (!config.volumes.empty()) json["Volumes"] = key_set_json(config.volumes);
  if (!config.exposed_ports.empty()) json["ExposedPorts"] = key_set_json(config.exposed_ports);
  if (!config.labels.empty()) json["Labels"] = config.labels;
  if (config.healthcheck) json["Healthcheck"] = healthcheck_json(*config.healthcheck);
  return json;
}

Json history_json(const std::vector<HistoryEntry>& history) {
  Json json = Json::array();
  for (const HistoryEntry& entry : history) {
    Json item = Json::object();
    if (!entry.created.empty()) item["created"] = entry.created;
    if (!entry.created_by.empty()) item["created_by"] = entry.created_by;
    if (!entry.comment.empty()) item["comment"] = entry.comment;
    if (entry.empty_layer) item["empty_layer"] = true;
    json.push_back(std::move(item));
  }
  return json;
}

}  // namespace

Result<ImageConfig> ImageConfig::parse(std::string_view json) {
  if (json.size() > kMaxManifestBytes) {
    return fail(Code::ResourceExhausted,
                fmt::format("image configuration: larger than {} bytes", kMaxManifestBytes));
  }
  const Json parsed = TRY(parse_json(json, "image configuration"));
  const JsonView document(parsed, "image configuration");
  ImageConfig config;
  config.platform = {TRY(document.string("os")), TRY(document.string("architecture")),
                     TRY(document.string_or("variant", ""))};
  config.created = TRY(document.string_or("created", ""));
  config.author = TRY(document.string_or("author", ""));
  if (const auto defaults = TRY(document.find("config"))) TRY(read_run_defaults(*defaults, config));
  config.diff_ids = TRY(read_diff_ids(document));
  config.history = TRY(read_history(document));
  return config;
}

std::string ImageConfig::dump() const {
  Json json{{"os", platform.os}, {"architecture", platform.architecture}};
  if (!platform.variant.empty()) json["variant"] = platform.variant;
  if (!created.empty()) json["created"] = created;
  if (!author.empty()) json["author"] = author;
  json["config"] = run_defaults_json(*this);
  json["rootfs"] = {{"type", "layers"}, {"diff_ids", Json::array()}};
  for (const Digest& diff_id : diff_ids) json["rootfs"]["diff_ids"].push_back(diff_id.text());
  if (!history.empty()) json["history"] = history_json(history);
  return write_json(json);
}

std::vector<Digest> chain_ids(const std::vector<Digest>& diff_ids) {
  std::vector<Digest> chain;
  chain.reserve(diff_ids.size());
  for (const Digest& diff_id : diff_ids) {
    chain.push_back(chain.empty() ? diff_id : digest_of(chain.back().text() + " " + diff_id.text()));
  }
  return chain;
}

}  // namespace berth::image
