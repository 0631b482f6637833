#include "node/doctor.hpp"

#include <CLI/CLI.hpp>
#include <cstdio>

#include "base/json_value.hpp"
#include "cmd/berth/declare.hpp"
#include "sys/paths.hpp"
#include "term/listing.hpp"

namespace berth::cmd {
namespace {

Result<std::string> render(const node::Diagnosis& diagnosis, std::string_view format) {
  if (format == "json") return term::render_document(diagnosis.to_json(), format);
  term::Listing listing({{"Area", "AREA"}, {"Name", "NAME"}, {"Present", "HERE"}, {"Detail", "DETAIL"}});
  for (const node::Finding& finding : diagnosis.findings) {
    listing.add(
        {finding.area, finding.name, {finding.present, finding.present ? "yes" : "no"}, finding.detail});
  }
  return listing.render(format);
}

}  // namespace

Action declare_doctor(CLI::App&, const Invocation& invocation) {
  return [&globals = invocation.globals]() -> Result<int> {
    const sys::Paths paths = TRY(sys::find_paths(globals.root));
    const node::Diagnosis diagnosis = node::diagnose(paths);
    const std::string text = TRY(render(diagnosis, globals.format));
    std::fputs(text.c_str(), stdout);
    return diagnosis.can_run_containers ? 0 : 1;
  };
}

}  // namespace berth::cmd
