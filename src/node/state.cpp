#include "node/state.hpp"

#include <fmt/core.h>

#include <array>
#include <cstdint>

namespace berth::node {
namespace {

constexpr unsigned bit(State state) { return 1U << static_cast<unsigned>(state); }

struct Row {
  State state;
  std::string_view name;
  unsigned next;  // the states that may follow
};

using enum State;
constexpr std::array kTable = {
    Row{Creating, "creating", bit(Created) | bit(Starting) | bit(Removing)},
    Row{Created, "created", bit(Starting) | bit(Removing)},
    Row{Starting, "starting", bit(Running) | bit(Failed) | bit(Exited)},
    Row{Running, "running", bit(Paused) | bit(Restarting) | bit(Exited)},
    Row{Paused, "paused", bit(Running) | bit(Restarting) | bit(Exited)},
    Row{Restarting, "restarting", bit(Starting) | bit(Exited)},
    Row{Exited, "exited", bit(Starting) | bit(Removing)},
    Row{Failed, "failed", bit(Starting) | bit(Removing)},
    Row{Removing, "removing", 0},
};

consteval bool rows_are_in_order() {
  for (std::size_t i = 0; i < kTable.size(); ++i) {
    if (static_cast<std::size_t>(kTable[i].state) != i) return false;
  }
  return true;
}
static_assert(rows_are_in_order());

const Row& row_of(State state) { return kTable[static_cast<std::size_t>(state)]; }

}  // namespace

std::string_view state_name(State state) { return row_of(state).name; }

Result<State> parse_state(std::string_view name) {
  for (const Row& row : kTable) {
    if (row.name == name) return row.state;
  }
  return fail(Code::InvalidArgument, fmt::format("{}: no state of an instance", name));
}

bool may_follow(State from, State to) { return (row_of(from).next & bit(to)) != 0; }

bool is_active(State state) {
  return (bit(state) & (bit(Starting) | bit(Running) | bit(Paused) | bit(Restarting))) != 0;
}

bool needs_owner(State state) { return is_active(state) || state == Creating || state == Removing; }

}  // namespace berth::node
