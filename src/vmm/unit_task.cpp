#include "vmm/unit_task.hpp"

#include "base/json_value.hpp"

namespace berth::vmm {

Result<UnitTask> parse_unit_task(std::string_view json) {
  const Json document = TRY(parse_json(json, "task"));
  const JsonView view(document, "task");
  const JsonView start = TRY(view.at("start"));
  UnitTask task;
  task.machine = TRY(parse_description(TRY(view.at("machine")).raw().dump()));
  task.tty = TRY(start.bool_or("tty", false));
  task.start = start.raw().dump();
  return task;
}

}  // namespace berth::vmm
