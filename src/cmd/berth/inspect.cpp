// berth inspect.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>

#include "base/json_value.hpp"
#include "cmd/berth/declare.hpp"
#include "node/control.hpp"
#include "node/describe.hpp"
#include "term/listing.hpp"

namespace berth::cmd {

Action declare_inspect(CLI::App& app, const Invocation& invocation) {
  auto names = std::make_shared<std::vector<std::string>>();
  app.add_option("INSTANCE", *names, "Names, ids or beginnings of ids")->required();
  return [names, &invocation]() -> Result<int> {
    node::Node node = TRY(node::Node::open(invocation.globals.root));
    const std::string& format = invocation.globals.format;
    const bool whole = format.empty() || format == "json";
    Json documents = Json::array();
    const int exit_code = for_each_name("inspect", *names, [&](const std::string& name) -> Result<void> {
      Json document = node::describe(node.paths, TRY(node.store.get(name)));
      if (!whole) std::fputs((TRY(term::render_document(document, format)) + "\n").c_str(), stdout);
      documents.push_back(std::move(document));
      return {};
    });
    if (whole)
      std::fputs((documents.dump(2, ' ', false, Json::error_handler_t::replace) + "\n").c_str(), stdout);
    return exit_code;
  };
}

}  // namespace berth::cmd
