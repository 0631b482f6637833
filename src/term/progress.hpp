// Progress of long work, on standard error: bars on a terminal, one line a finished task elsewhere, or
// nothing.
#pragma once

#include <chrono>
#include <cstdint>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

namespace berth::term {

// May be used by many threads at once. Draws ten times a second at most, from the threads that report.
class Progress {
 public:
  enum class Mode { Bars, Lines, Quiet };

  // `columns`: the terminal's width, for Bars.
  Progress(Mode mode, int fd, unsigned columns) : mode_(mode), fd_(fd), columns_(columns) {}
  ~Progress();  // leaves the last state of the bars on the screen
  Progress(const Progress&) = delete;
  Progress& operator=(const Progress&) = delete;

  // A task of `total` steps or bytes (0: not known), such as "a1b2c3d4e5f6". Gives the number to report
  // under.
  std::size_t add(std::string label, std::string verb, std::uint64_t total);
  void set(std::size_t task, std::uint64_t done);
  void advance(std::size_t task, std::uint64_t steps);
  void begin(std::size_t task, std::string verb, std::uint64_t total);  // the same task's next stage
  void finish(std::size_t task, std::string_view outcome);              // "done", "already here"
  void message(std::string_view line);                                  // a line above the bars

 private:
  struct Task {
    std::string label;
    std::string verb;
    std::uint64_t done = 0;
    std::uint64_t total = 0;
    bool finished = false;
  };
  std::string bar(const Task& task) const;
  void draw(bool now);
  void write(const std::string& text) const;

  Mode mode_;
  int fd_;
  unsigned columns_;
  std::mutex mutex_;
  std::vector<Task> tasks_;
  std::size_t lines_drawn_ = 0;
  std::chrono::steady_clock::time_point last_drawn_;
};

}  // namespace berth::term
