#include "oci/run/checkpoint.hpp"

#include <fmt/core.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <memory>

#include "base/json_value.hpp"
#include "isolate/cgroup.hpp"
#include "oci/run/criu_process.hpp"

namespace berth::oci {
namespace {

// What descriptors 0 to 2 are, so that a restore can hand on its own in their place.
Result<void> write_descriptors(const State& state, const std::string& image_dir) {
  Json names = Json::array();
  for (int fd = 0; fd < 3; ++fd)
    names.push_back(sys::read_link(fmt::format("/proc/{}/fd/{}", state.pid, fd)).value_or(""));
  return sys::replace_file(fmt::format("{}/{}", image_dir, kDescriptorsFile), names.dump(), 0600);
}

// The group's directory that freezes: version 2's one, or that of version 1's freezer.
Result<std::string> freezer_of(const State& state) {
  const auto group = state.cgroup.empty() ? nullptr : TRY(isolate::find_cgroup_at(state.cgroup));
  if (!group) return std::string();
  const auto directories = group->directories();
  const auto found = std::find_if(directories.begin(), directories.end(), [](const std::string& directory) {
    return sys::exists(directory + "/cgroup.freeze") || sys::exists(directory + "/freezer.state");
  });
  return found == directories.end() ? std::string() : *found;
}

}  // namespace

Result<void> checkpoint(const std::string& root, const std::string& id, CriuOptions options,
                        const Dump& dump) {
  ContainerDir dir = TRY(ContainerDir::open(root, id));
  TRY(dir.lock());
  const State state = TRY(State::load(dir));
  const Status status = TRY(status_of(dir, state));
  if (status != Status::Running && status != Status::Paused) {
    return fail(Code::FailedPrecondition, fmt::format("cannot checkpoint container {}: it is {}, not running",
                                                      id, status_name(status)));
  }
  const Spec spec = TRY(Spec::parse(TRY(sys::read_file(dir.file(kConfigFile), kMaxConfigBytes))));
  options.program = TRY(find_criu(options.program));
  TRY(check_criu_can(spec));
  TRY_DURING("--image-path", sys::make_dir(options.image_dir, 0700));
  if (!options.work_dir.empty()) TRY_DURING("--work-path", sys::make_dir(options.work_dir, 0700));
  TRY(write_descriptors(state, options.image_dir));
  const CriuPlaces places = TRY(open_places(options));
  const auto request = dump_request(options, places, dump, spec, state, TRY(freezer_of(state)));
  isolate::LaunchPlan plan;
  TRY_DURING(fmt::format("cannot checkpoint container {}", id),
             run_criu(options.program, request, log_path(options, kDumpLog), plan));
  return {};
}

}  // namespace berth::oci
