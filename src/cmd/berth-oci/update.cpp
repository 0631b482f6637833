// update: the options of runc, as a resources document of the runtime specification.
#include "oci/run/update.hpp"

#include <fmt/core.h>
#include <unistd.h>

#include <array>

#include "base/json_value.hpp"
#include "base/text.hpp"
#include "cmd/berth-oci/command.hpp"
#include "cmd/berth-oci/options.hpp"
#include "oci/state/container_dir.hpp"
#include "sys/fd.hpp"

namespace berth::cmd {
namespace {

enum class Kind { Number, Bytes, Text };

struct Limit {
  std::string_view option;
  const char* section;
  const char* member;
  Kind kind;
};

constexpr std::array<Limit, 15> kLimits = {{
    {"blkio-weight", "blockIO", "weight", Kind::Number},
    {"cpu-burst", "cpu", "burst", Kind::Number},
    {"cpu-idle", "cpu", "idle", Kind::Number},
    {"cpu-period", "cpu", "period", Kind::Number},
    {"cpu-quota", "cpu", "quota", Kind::Number},
    {"cpu-rt-period", "cpu", "realtimePeriod", Kind::Number},
    {"cpu-rt-runtime", "cpu", "realtimeRuntime", Kind::Number},
    {"cpu-share", "cpu", "shares", Kind::Number},
    {"cpuset-cpus", "cpu", "cpus", Kind::Text},
    {"cpuset-mems", "cpu", "mems", Kind::Text},
    {"kernel-memory", "memory", "kernel", Kind::Bytes},
    {"memory", "memory", "limit", Kind::Bytes},
    {"memory-reservation", "memory", "reservation", Kind::Bytes},
    {"memory-swap", "memory", "swap", Kind::Bytes},
    {"pids-limit", "pids", "limit", Kind::Number},
}};

Result<Json> value_of(const Limit& limit, const std::string& text) {
  if (limit.kind == Kind::Text) return Json(text);
  if (const auto number = parse_u64(text)) return Json(*number);
  if (const auto number = parse_i64(text)) return Json(*number);
  if (limit.kind == Kind::Bytes) return Json(TRY_DURING(fmt::format("--{}", limit.option), parse_size(text)));
  return fail(Code::InvalidArgument, fmt::format("--{} {}: a number is needed", limit.option, text));
}

Result<std::string> read_document(const std::string& file) {
  constexpr std::size_t kMaxBytes = 1 << 20;
  return file == "-" ? sys::read_all(STDIN_FILENO, kMaxBytes) : sys::read_file(file, kMaxBytes);
}

}  // namespace

Result<int> run_update(const Globals& globals, const Args& args) {
  std::array<std::string, kLimits.size()> given;
  std::string file;
  Options options;
  options.value("resources", 'r', file);
  for (std::size_t i = 0; i < kLimits.size(); ++i) options.value(kLimits[i].option, 0, given[i]);
  const std::string id = TRY(container_id(TRY(options.parse(args, false))));
  Json document = Json::object();
  if (!file.empty()) document = TRY(parse_json(TRY(read_document(file)), "--resources"));
  // As runc: options beside a document are not looked at.
  for (std::size_t i = 0; file.empty() && i < kLimits.size(); ++i) {
    if (given[i].empty()) continue;
    document[kLimits[i].section][kLimits[i].member] = TRY(value_of(kLimits[i], given[i]));
  }
  const auto wanted = TRY(isolate::parse_runtime_resources(JsonView(document, "resources")));
  TRY(oci::update(oci::state_root(globals.root), id, wanted));
  return 0;
}

}  // namespace berth::cmd
