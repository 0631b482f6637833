// state, list and ps.
#include <fmt/core.h>

#include <algorithm>

#include "base/json_value.hpp"
#include "base/text.hpp"
#include "cmd/berth-oci/command.hpp"
#include "cmd/berth-oci/options.hpp"
#include "oci/run/inspect.hpp"
#include "oci/state/container_dir.hpp"
#include "sys/command.hpp"

namespace berth::cmd {
namespace {

Result<bool> wants_json(const std::string& format) {
  if (format == "json") return true;
  if (format == "table") return false;
  return fail(Code::InvalidArgument, fmt::format("--format {}: table or json", format));
}

// ps(1)'s lines of the container's processes; its header names the column of the numbers.
Result<std::string> process_table(const std::vector<pid_t>& pids, const Args& ps_args) {
  Args command = {"ps"};
  if (ps_args.empty()) command.emplace_back("-ef");
  command.insert(command.end(), ps_args.begin(), ps_args.end());
  const auto output = TRY(sys::run_command(command, {.max_output_bytes = 4 << 20}));
  if (output.exit_code != 0)
    return fail(Code::InvalidArgument, fmt::format("{}: exit code {}", join(command, " "), output.exit_code));
  const auto words = [](const std::string& line) {
    auto fields = split(line, ' ');
    std::erase(fields, "");
    return fields;
  };
  const auto lines = split(output.text, '\n');
  const auto titles = lines.empty() ? Args{} : words(lines.front());
  const auto column =
      static_cast<std::size_t>(std::find(titles.begin(), titles.end(), "PID") - titles.begin());
  if (column == titles.size()) return fail(Code::InvalidArgument, "ps: its output has no column PID");
  std::string table = lines.front() + "\n";
  for (const std::string& line : lines) {
    const auto fields = words(line);
    const auto pid = column < fields.size() ? parse_u64(fields[column]) : std::nullopt;
    if (pid && std::find(pids.begin(), pids.end(), static_cast<pid_t>(*pid)) != pids.end())
      table += line + "\n";
  }
  return table;
}

}  // namespace

Result<int> run_state(const Globals& globals, const Args& args) {
  const std::string id = TRY(container_id(TRY(Options().parse(args, false))));
  print(TRY(oci::describe_state(oci::state_root(globals.root), id)));
  return 0;
}

Result<int> run_list(const Globals& globals, const Args& args) {
  std::string format = "table";
  bool quiet = false;
  Options options;
  options.value("format", 'f', format);
  options.flag("quiet", 'q', quiet);
  TRY(options.parse(args, false));
  const bool json = TRY(wants_json(format));
  const auto wanted = quiet ? oci::ListFormat::Names : json ? oci::ListFormat::Json : oci::ListFormat::Table;
  print(TRY(oci::list_containers(oci::state_root(globals.root), wanted)));
  return 0;
}

Result<int> run_ps(const Globals& globals, const Args& args) {
  std::string format = "table";
  Options options;
  options.value("format", 'f', format);
  Args operands = TRY(options.parse(args, true));
  const bool json = TRY(wants_json(format));
  const Args ps_args(operands.empty() ? operands.begin() : operands.begin() + 1, operands.end());
  operands.resize(std::min<std::size_t>(operands.size(), 1));
  const auto pids = TRY(oci::container_pids(oci::state_root(globals.root), TRY(container_id(operands))));
  print(json ? Json(pids).dump() + "\n" : TRY(process_table(pids, ps_args)));
  return 0;
}

}  // namespace berth::cmd
