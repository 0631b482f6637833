#include "node/processes.hpp"

#include <fmt/core.h>
#include <unistd.h>

#include <algorithm>

#include "base/text.hpp"
#include "sys/fd.hpp"

namespace berth::node {
namespace {

// Fields of /proc/PID/stat after the name, from 0 (proc(5): state is field 3).
constexpr std::size_t kState = 0;
constexpr std::size_t kParent = 1;
constexpr std::size_t kUserTime = 11;
constexpr std::size_t kSystemTime = 12;
constexpr std::size_t kResidentPages = 21;

std::uint64_t number(const std::vector<std::string>& fields, std::size_t index) {
  return parse_u64(fields[index]).value_or(0);
}

}  // namespace

Result<ProcessInfo> read_process(pid_t pid) {
  const std::string directory = fmt::format("/proc/{}", pid);
  const std::string stat = TRY(sys::read_file(directory + "/stat"));
  const auto name_end = stat.rfind(')');  // the name may hold anything, also blanks and parentheses
  const auto name_start = stat.find('(');
  const auto fields =
      name_end == std::string::npos ? std::vector<std::string>() : split(stat.substr(name_end + 2), ' ');
  if (fields.size() <= kResidentPages)
    return fail(Code::Internal, fmt::format("{}/stat is not as expected", directory));
  ProcessInfo process;
  process.state = fields[kState][0];
  process.parent = static_cast<pid_t>(number(fields, kParent));
  process.uid = TRY(sys::stat(directory)).st_uid;
  process.memory_bytes = number(fields, kResidentPages) * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
  process.cpu_seconds = static_cast<double>(number(fields, kUserTime) + number(fields, kSystemTime)) /
                        static_cast<double>(::sysconf(_SC_CLK_TCK));
  process.command = TRY(sys::read_file(directory + "/cmdline"));
  while (!process.command.empty() && process.command.back() == '\0') process.command.pop_back();
  std::replace(process.command.begin(), process.command.end(), '\0', ' ');
  if (process.command.empty())
    process.command = "[" + stat.substr(name_start + 1, name_end - name_start - 1) + "]";
  return process;
}

}  // namespace berth::node
