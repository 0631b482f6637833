// config.json's `hooks` (runtime-spec, config.md, "POSIX-platform Hooks").
#pragma once

#include <array>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.hpp"
#include "base/result.hpp"

namespace berth::oci {

struct Hook {
  std::string path;
  std::vector<std::string> args;  // args[0] included; never empty
  std::vector<std::string> env;
  int timeout_s = 0;  // 0: none
};

enum class HookStage { Prestart, CreateRuntime, CreateContainer, StartContainer, Poststart, Poststop };
inline constexpr std::array<std::string_view, 6> kHookStages = {
    "prestart", "createRuntime", "createContainer", "startContainer", "poststart", "poststop"};

class Hooks {
 public:
  static Result<Hooks> from_json(const JsonView& view);
  const std::vector<Hook>& of(HookStage stage) const { return lists_.at(static_cast<std::size_t>(stage)); }

 private:
  std::array<std::vector<Hook>, kHookStages.size()> lists_;
};

}  // namespace berth::oci
