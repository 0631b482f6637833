// features, spec and events.
#include <fmt/core.h>
#include <unistd.h>

#include <cstdio>

#include "base/text.hpp"
#include "cmd/berth-oci/command.hpp"
#include "cmd/berth-oci/options.hpp"
#include "oci/run/events.hpp"
#include "oci/run/features.hpp"
#include "oci/spec/default_config.hpp"
#include "oci/state/container_dir.hpp"
#include "sys/fd.hpp"

namespace berth::cmd {
namespace {

Result<void> expect_no_operands(const Args& operands) {
  if (operands.empty()) return {};
  return fail(Code::InvalidArgument, fmt::format("{}: nothing was to be named here", operands.front()));
}

// Never over one that is there.
Result<void> write_new(const std::string& path, std::string_view text) {
  auto file = sys::open(path, O_WRONLY | O_CREAT | O_EXCL, 0644);
  if (!file && file.error().sys_errno == EEXIST)
    return fail(Code::AlreadyExists, fmt::format("{} exists: remove it first", path));
  return sys::write_all(TRY(std::move(file)).get(), text);
}

bool print_line(std::string_view line) {
  print(line);
  return std::fflush(stdout) == 0;
}

}  // namespace

Result<int> run_features(const Globals&, const Args& args) {
  TRY(expect_no_operands(TRY(Options().parse(args, false))));
  print(oci::describe_features());
  return 0;
}

Result<int> run_spec(const Globals&, const Args& args) {
  std::string bundle;
  bool rootless = false;
  Options options;
  options.value("bundle", 'b', bundle);
  options.flag("rootless", 0, rootless);
  TRY(expect_no_operands(TRY(options.parse(args, false))));
  std::optional<oci::OrdinaryUser> user;
  if (rootless) user = {::geteuid(), ::getegid()};
  TRY(write_new(bundle.empty() ? "config.json" : bundle + "/config.json", oci::default_config(user)));
  return 0;
}

Result<int> run_events(const Globals& globals, const Args& args) {
  std::string interval = "5s";
  bool once = false;
  Options options;
  options.value("interval", 0, interval);
  options.flag("stats", 0, once);
  const std::string id = TRY(container_id(TRY(options.parse(args, false))));
  const auto period = TRY_DURING("--interval", parse_duration(interval));
  if (period.count() <= 0) return fail(Code::InvalidArgument, "--interval: give more than 0");
  const std::string root = oci::state_root(globals.root);
  if (once)
    print(TRY(oci::describe_usage(root, id)));
  else
    TRY(oci::follow_events(root, id, period, print_line));
  return 0;
}

}  // namespace berth::cmd
