#include "sys/rlimit.hpp"

#include <fmt/core.h>
#include <sys/resource.h>

#include <array>
#include <string>

#include "base/text.hpp"

namespace berth::sys {
namespace {

struct Name {
  std::string_view name;
  int number;
};
constexpr std::array<Name, 16> kNames = {{{"as", RLIMIT_AS},
                                          {"core", RLIMIT_CORE},
                                          {"cpu", RLIMIT_CPU},
                                          {"data", RLIMIT_DATA},
                                          {"fsize", RLIMIT_FSIZE},
                                          {"locks", RLIMIT_LOCKS},
                                          {"memlock", RLIMIT_MEMLOCK},
                                          {"msgqueue", RLIMIT_MSGQUEUE},
                                          {"nice", RLIMIT_NICE},
                                          {"nofile", RLIMIT_NOFILE},
                                          {"nproc", RLIMIT_NPROC},
                                          {"rss", RLIMIT_RSS},
                                          {"rtprio", RLIMIT_RTPRIO},
                                          {"rttime", RLIMIT_RTTIME},
                                          {"sigpending", RLIMIT_SIGPENDING},
                                          {"stack", RLIMIT_STACK}}};

}  // namespace

Result<int> rlimit_number(std::string_view name) {
  std::string wanted = lower(name);
  if (wanted.starts_with("rlimit_")) wanted = wanted.substr(7);
  std::string known;
  for (const Name& entry : kNames) {
    if (entry.name == wanted) return entry.number;
    known += fmt::format("{}{}", known.empty() ? "" : ", ", entry.name);
  }
  return fail(Code::InvalidArgument, fmt::format("--ulimit {}: unknown limit; use one of {}", name, known));
}

Result<RlimitPair> get_rlimit(int resource) {
  rlimit limit{};
  if (::getrlimit(static_cast<__rlimit_resource_t>(resource), &limit) != 0)
    return fail_errno("cannot read a limit");
  return RlimitPair{limit.rlim_cur, limit.rlim_max};
}

int set_rlimit(int resource, RlimitPair limit) noexcept {
  const rlimit raw{limit.soft, limit.hard};
  return ::setrlimit(static_cast<__rlimit_resource_t>(resource), &raw) != 0 ? errno : 0;
}

}  // namespace berth::sys
