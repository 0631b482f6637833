// An instance's log, once or as it grows.
#pragma once

#include "node/control.hpp"
#include "node/log_reader.hpp"

namespace berth::node {

Result<void> print_log(Node& node, const std::string& id, const LogQuery& query, const LogSink& sink);

// Goes on until the instance has ended (or `query.until` has passed) and all it wrote is out.
Result<void> follow_log(Node& node, const std::string& id, const LogQuery& query, const LogSink& sink);

}  // namespace berth::node
