#include "term/progress.hpp"

#include <fmt/core.h>
#include <unistd.h>

#include <algorithm>

#include "base/result.hpp"
#include "base/text.hpp"
#include "term/listing.hpp"

namespace berth::term {
namespace {

constexpr std::chrono::milliseconds kBetweenDraws{100};
constexpr unsigned kLeastColumns = 40;
constexpr std::size_t kMostBars = 16;  // more would scroll off a small terminal
constexpr std::size_t kLabelWidth = 14;
constexpr std::size_t kVerbWidth = 12;
constexpr std::size_t kNumbersWidth = 22;

}  // namespace

Progress::~Progress() {
  const std::lock_guard lock(mutex_);
  if (mode_ == Mode::Bars) draw(true);
}

std::size_t Progress::add(std::string label, std::string verb, std::uint64_t total) {
  const std::lock_guard lock(mutex_);
  tasks_.push_back({printable(label), printable(verb), 0, total, false});
  draw(false);
  return tasks_.size() - 1;
}

void Progress::set(std::size_t task, std::uint64_t done) {
  const std::lock_guard lock(mutex_);
  BERTH_ASSERT(task < tasks_.size());
  tasks_[task].done = done;
  draw(false);
}

void Progress::advance(std::size_t task, std::uint64_t steps) {
  const std::lock_guard lock(mutex_);
  BERTH_ASSERT(task < tasks_.size());
  tasks_[task].done += steps;
  draw(false);
}

void Progress::begin(std::size_t task, std::string verb, std::uint64_t total) {
  const std::lock_guard lock(mutex_);
  BERTH_ASSERT(task < tasks_.size());
  tasks_[task].verb = printable(verb);
  tasks_[task].done = 0;
  tasks_[task].total = total;
  tasks_[task].finished = false;
  draw(false);
}

void Progress::finish(std::size_t task, std::string_view outcome) {
  const std::lock_guard lock(mutex_);
  BERTH_ASSERT(task < tasks_.size());
  tasks_[task].verb = printable(outcome);
  tasks_[task].finished = true;
  if (mode_ == Mode::Lines) write(fmt::format("{}: {}\n", tasks_[task].label, tasks_[task].verb));
  draw(true);
}

void Progress::message(std::string_view line) {
  const std::lock_guard lock(mutex_);
  if (mode_ == Mode::Quiet) return;
  if (mode_ == Mode::Bars && lines_drawn_ > 0) write(fmt::format("\x1b[{}A\x1b[J", lines_drawn_));
  lines_drawn_ = 0;
  write(printable(line) + "\n");
  draw(true);
}

std::string Progress::bar(const Task& task) const {
  std::string line = fmt::format("{:<{}.{}} {:<{}.{}} ", task.label, kLabelWidth, kLabelWidth, task.verb,
                                 kVerbWidth, kVerbWidth);
  if (task.finished) return line;
  if (task.total == 0) return task.done == 0 ? line : line + format_size(task.done);
  const std::size_t room = std::max(columns_, kLeastColumns) - 1;
  const std::size_t used = kLabelWidth + kVerbWidth + 2 + kNumbersWidth + 3;
  const std::uint64_t done = std::min(task.done, task.total);
  if (room > used + 5) {
    const std::size_t width = room - used;
    const auto filled = static_cast<std::size_t>(static_cast<double>(done) / static_cast<double>(task.total) *
                                                 static_cast<double>(width));
    line += "[" + std::string(filled, '=') + std::string(width - filled, ' ') + "] ";
  }
  return line + fmt::format("{} / {}", format_size(done), format_size(task.total));
}

// Moves back up over the lines drawn before and writes them anew. Where there are more tasks than fit, those
// at work win.
void Progress::draw(bool now) {
  const auto time = std::chrono::steady_clock::now();
  if (mode_ != Mode::Bars || (!now && time - last_drawn_ < kBetweenDraws)) return;
  last_drawn_ = time;
  std::vector<const Task*> shown;
  for (const Task& task : tasks_) {
    if (!task.finished || tasks_.size() <= kMostBars) shown.push_back(&task);
  }
  shown.resize(std::min(shown.size(), kMostBars));
  std::string text = lines_drawn_ > 0 ? fmt::format("\x1b[{}A\x1b[J", lines_drawn_) : "";
  for (const Task* task : shown) text += bar(*task).substr(0, std::max(columns_, kLeastColumns) - 1) + "\n";
  lines_drawn_ = shown.size();
  write(text);
}

// Whether the progress can be seen is not worth failing for.
void Progress::write(const std::string& text) const {
  std::string_view rest = text;
  while (!rest.empty()) {
    const ssize_t count = ::write(fd_, rest.data(), rest.size());
    if (count <= 0) return;
    rest.remove_prefix(static_cast<std::size_t>(count));
  }
}

}  // namespace berth::term
