#include "isolate/seccomp_profile.hpp"

#include <fmt/core.h>
#include <linux/seccomp.h>
#include <sys/utsname.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>

#include "base/json_value.hpp"
#include "base/text.hpp"

namespace berth::isolate {
namespace {

using sys::SeccompAction;
using sys::SeccompArgument;
using sys::SeccompCompare;
using sys::SeccompProfile;
using sys::SeccompRule;
using sys::SeccompVerdict;

constexpr std::size_t kMaxRules = 4096;
constexpr std::uint64_t kMaxErrno = 4095;  // MAX_ERRNO: the kernel cuts greater ones down
constexpr std::uint64_t kArguments = 6;

template <typename T, std::size_t N>
const T* lookup(const std::array<std::pair<std::string_view, T>, N>& table, std::string_view name) {
  for (const auto& [key, value] : table) {
    if (key == name) return &value;
  }
  return nullptr;
}

// OCI runtime specification, config-linux.md, "Seccomp".
constexpr std::array<std::pair<std::string_view, SeccompAction>, 9> kActions = {{
    {"SCMP_ACT_KILL", SeccompAction::KillThread},
    {"SCMP_ACT_KILL_THREAD", SeccompAction::KillThread},
    {"SCMP_ACT_KILL_PROCESS", SeccompAction::KillProcess},
    {"SCMP_ACT_TRAP", SeccompAction::Trap},
    {"SCMP_ACT_ERRNO", SeccompAction::Errno},
    {"SCMP_ACT_TRACE", SeccompAction::Trace},
    {"SCMP_ACT_LOG", SeccompAction::Log},
    {"SCMP_ACT_ALLOW", SeccompAction::Allow},
    {"SCMP_ACT_NOTIFY", SeccompAction::Notify},
}};

constexpr std::array<std::pair<std::string_view, SeccompCompare>, 7> kCompares = {{
    {"SCMP_CMP_NE", SeccompCompare::NotEqual},
    {"SCMP_CMP_LT", SeccompCompare::Less},
    {"SCMP_CMP_LE", SeccompCompare::LessOrEqual},
    {"SCMP_CMP_EQ", SeccompCompare::Equal},
    {"SCMP_CMP_GE", SeccompCompare::GreaterOrEqual},
    {"SCMP_CMP_GT", SeccompCompare::Greater},
    {"SCMP_CMP_MASKED_EQ", SeccompCompare::MaskedEqual},
}};

constexpr std::array<std::pair<std::string_view, unsigned>, 4> kFlags = {{
    {"SECCOMP_FILTER_FLAG_TSYNC", SECCOMP_FILTER_FLAG_TSYNC},
    {"SECCOMP_FILTER_FLAG_LOG", SECCOMP_FILTER_FLAG_LOG},
    {"SECCOMP_FILTER_FLAG_SPEC_ALLOW", SECCOMP_FILTER_FLAG_SPEC_ALLOW},
    {"SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV", SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV},
}};

// Docker's names, which are Go's.
constexpr std::array<std::pair<std::string_view, std::string_view>, 6> kGoArchitectures = {{
    {"SCMP_ARCH_X86_64", "amd64"},
    {"SCMP_ARCH_X86", "x86"},
    {"SCMP_ARCH_AARCH64", "arm64"},
    {"SCMP_ARCH_ARM", "arm"},
    {"SCMP_ARCH_PPC64LE", "ppc64le"},
    {"SCMP_ARCH_S390X", "s390x"},
}};

template <typename T, std::size_t N>
Result<T> read_word(const JsonView& view, const std::array<std::pair<std::string_view, T>, N>& table) {
  const std::string word = TRY(view.as_string());
  const T* found = lookup(table, word);
  if (found == nullptr) return view.bad(fmt::format("\"{}\" is not known", word));
  return *found;
}

Result<SeccompVerdict> read_verdict(const JsonView& owner, std::string_view action_key,
                                    std::string_view errno_key) {
  const JsonView action = TRY(owner.at(action_key));
  SeccompVerdict verdict{TRY(read_word(action, kActions)), 0};
  const bool takes_number = verdict.action == SeccompAction::Errno || verdict.action == SeccompAction::Trace;
  if (takes_number) verdict.data = EPERM;  // the specification's default
  const auto number = TRY(owner.find(errno_key));
  if (!number) return verdict;
  if (!takes_number) {
    return number->bad(fmt::format("{} takes no errno: leave it out", TRY(action.as_string())));
  }
  const std::uint64_t value = TRY(number->as_uint());
  if (value > kMaxErrno) return number->bad(fmt::format("give an errno of 0 to {}", kMaxErrno));
  verdict.data = static_cast<std::uint16_t>(value);
  return verdict;
}

Result<SeccompArgument> read_argument(const JsonView& view) {
  SeccompArgument argument;
  const std::uint64_t index = TRY(view.uint("index"));
  if (index >= kArguments) return TRY(view.at("index")).bad("a system call has the arguments 0 to 5");
  argument.index = static_cast<unsigned>(index);
  argument.compare = TRY(read_word(TRY(view.at("op")), kCompares));
  argument.value = TRY(view.uint("value"));
  if (const auto second = TRY(view.find("valueTwo"))) argument.second = TRY(second->as_uint());
  return argument;
}

Result<bool> kernel_is_at_least(const JsonView& view, const SeccompContext& context) {
  const std::string version = TRY(view.as_string());
  const std::vector<std::string> parts = split(version, '.');
  const auto major = parts.size() == 2 ? parse_u64(parts[0]) : std::nullopt;
  const auto minor = parts.size() == 2 ? parse_u64(parts[1]) : std::nullopt;
  if (!major || !minor) return view.bad(fmt::format("\"{}\" is not a kernel version such as 4.8", version));
  return std::pair<std::uint64_t, std::uint64_t>(context.kernel_major, context.kernel_minor) >=
         std::pair(*major, *minor);
}

struct Matches {
  bool all = true;  // of the conditions that are there
  bool any = false;
};

Result<Matches> match_conditions(const JsonView& view, const SeccompContext& context) {
  Matches matches;
  const auto note = [&matches](bool holds) {
    matches.all = matches.all && holds;
    matches.any = matches.any || holds;
  };
  for (const std::string& name : TRY(view.strings_or_empty("caps"))) {
    // One that this table does not have is one that no unit holds.
    const auto number = sys::capability_number(name);
    note(number && (context.capabilities & sys::capability_bit(*number)) != 0);
  }
  const std::vector<std::string> architectures = TRY(view.strings_or_empty("arches"));
  if (!architectures.empty()) {
    note(std::find(architectures.begin(), architectures.end(), context.architecture) != architectures.end());
  }
  if (const auto kernel = TRY(view.find("minKernel"))) note(TRY(kernel_is_at_least(*kernel, context)));
  return matches;
}

// Docker: a rule counts where all of `includes` and none of `excludes` hold.
Result<bool> rule_counts(const JsonView& view, const SeccompContext& context) {
  if (const auto excludes = TRY(view.find("excludes"))) {
    if (TRY(match_conditions(*excludes, context)).any) return false;
  }
  const auto includes = TRY(view.find("includes"));
  return !includes || TRY(match_conditions(*includes, context)).all;
}

Result<SeccompRule> read_rule(const JsonView& view) {
  SeccompRule rule;
  rule.names = TRY(view.strings_or_empty("names"));
  if (const auto name = TRY(view.find("name")))
    rule.names.push_back(TRY(name->as_string()));  // of old profiles
  if (rule.names.empty()) return view.bad("names no system call");
  rule.verdict = TRY(read_verdict(view, "action", "errnoRet"));
  for (const JsonView& argument : TRY(view.array_or_empty("args"))) {
    rule.arguments.push_back(TRY(read_argument(argument)));
  }
  return rule;
}

Result<void> add_architecture(const JsonView& view, std::vector<std::string>& names) {
  std::string name = TRY(view.as_string());
  if (!sys::is_seccomp_architecture(name)) return view.bad(fmt::format("\"{}\" is not known", name));
  if (std::find(names.begin(), names.end(), name) == names.end()) names.push_back(std::move(name));
  return {};
}

Result<std::vector<std::string>> read_architectures(const JsonView& view, const SeccompContext& context) {
  std::vector<std::string> names;
  for (const JsonView& item : TRY(view.array_or_empty("architectures"))) TRY(add_architecture(item, names));
  for (const JsonView& entry : TRY(view.array_or_empty("archMap"))) {
    const std::string native = TRY(entry.string("architecture"));
    const auto* const go_name = lookup(kGoArchitectures, native);
    if (go_name == nullptr || *go_name != context.architecture) continue;
    TRY(add_architecture(TRY(entry.at("architecture")), names));
    for (const JsonView& item : TRY(entry.array_or_empty("subArchitectures")))
      TRY(add_architecture(item, names));
  }
  return names;
}

Result<void> read_listener(const JsonView& view, SeccompProfile& profile) {
  profile.listener_path = TRY(view.string_or("listenerPath", ""));
  profile.listener_metadata = TRY(view.string_or("listenerMetadata", ""));
  if (!profile.listener_metadata.empty() && profile.listener_path.empty()) {
    return TRY(view.at("listenerMetadata")).bad("must not be given without listenerPath");
  }
  if (!profile.notifies() || !profile.listener_path.empty()) return {};
  return view.bad("SCMP_ACT_NOTIFY needs listenerPath, the socket of the program that answers");
}

template <typename T, std::size_t N>
std::vector<std::string_view> words(const std::array<std::pair<std::string_view, T>, N>& table) {
  std::vector<std::string_view> names;
  for (const auto& [name, value] : table) names.push_back(name);
  return names;
}

}  // namespace

SeccompWords seccomp_words() {
  SeccompWords all{words(kActions), words(kCompares), words(kFlags), {}};
  for (const auto& [name, flag] : kFlags) {
    // The kernel takes this one beside a listener only.
    const unsigned listener =
        flag == SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV ? SECCOMP_FILTER_FLAG_NEW_LISTENER : 0;
    if (sys::kernel_takes_seccomp_flags(flag | listener)) all.supported_flags.push_back(name);
  }
  return all;
}

SeccompContext SeccompContext::of_host(sys::CapabilityMask capabilities) {
  SeccompContext context;
  context.capabilities = capabilities;
  const auto* const go_name = lookup(kGoArchitectures, sys::native_seccomp_architecture());
  if (go_name != nullptr) context.architecture = *go_name;
  utsname names{};
  if (::uname(&names) != 0) return context;
  const std::vector<std::string> parts = split(names.release, '.');  // "6.1.0-18-amd64"
  const auto number = [&parts](std::size_t i) {
    return parts.size() > i ? parse_u64(parts[i]).value_or(0) : 0;
  };
  context.kernel_major = static_cast<unsigned>(number(0));
  context.kernel_minor = static_cast<unsigned>(number(1));
  return context;
}

Result<SeccompProfile> parse_seccomp_profile(const JsonView& view, const SeccompContext& context) {
  SeccompProfile profile;
  profile.fallback = TRY(read_verdict(view, "defaultAction", "defaultErrnoRet"));
  profile.architectures = TRY(read_architectures(view, context));
  for (const JsonView& flag : TRY(view.array_or_empty("flags")))
    profile.flags |= TRY(read_word(flag, kFlags));
  const std::vector<JsonView> rules = TRY(view.array_or_empty("syscalls"));
  if (rules.size() > kMaxRules) return view.bad(fmt::format("syscalls: more than {} rules", kMaxRules));
  for (const JsonView& item : rules) {
    SeccompRule rule = TRY(read_rule(item));  // read in any case: a mistake should show on every machine
    if (TRY(rule_counts(item, context))) profile.rules.push_back(std::move(rule));
  }
  TRY(read_listener(view, profile));
  return profile;
}

Result<SeccompProfile> seccomp_profile_for(std::string_view setting, sys::CapabilityMask capabilities) {
  if (setting == "default") return default_seccomp_profile(capabilities);
  const Json json = TRY(parse_json(setting, "seccomp profile"));
  const JsonView view(json, "seccomp");
  SeccompProfile profile = TRY(parse_seccomp_profile(view, SeccompContext::of_host(capabilities)));
  if (!profile.notifies()) return profile;
  return view.bad(
      "SCMP_ACT_NOTIFY needs a program that answers, which this command does not offer: choose "
      "SCMP_ACT_ERRNO");
}

}  // namespace berth::isolate
