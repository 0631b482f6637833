#include "sys/prompt.hpp"

#include <termios.h>
#include <unistd.h>

#include "sys/fd.hpp"

namespace berth::sys {
namespace {

constexpr std::size_t kMaxLineBytes = 4096;
constexpr char kInterrupt = 0x03;

// The terminal on standard input without echo. Signals by keys are off too: ctrl-c then arrives as a byte,
// and the settings are put back on every way out.
class Silence {
 public:
  explicit Silence(bool wanted) {
    if (!wanted || ::tcgetattr(STDIN_FILENO, &before_) != 0) return;
    struct termios silent = before_;
    silent.c_lflag &= ~static_cast<tcflag_t>(ECHO | ISIG);
    active_ = ::tcsetattr(STDIN_FILENO, TCSAFLUSH, &silent) == 0;
  }
  Silence(const Silence&) = delete;
  Silence& operator=(const Silence&) = delete;
  ~Silence() {
    if (!active_) return;
    ::tcsetattr(STDIN_FILENO, TCSAFLUSH, &before_);
    (void)write_all(STDERR_FILENO, "\n");
  }

 private:
  struct termios before_ {};
  bool active_ = false;
};

}  // namespace

Result<std::string> ask(const std::string& question, bool echo) {
  const Silence silence(!echo);  // first: whoever answers at once must not be shown, nor flushed away
  TRY(write_all(STDERR_FILENO, question));
  std::string line;
  // Byte by byte: what follows the line belongs to the next reader.
  for (char c = 0; line.size() < kMaxLineBytes;) {
    const std::size_t count = TRY_DURING("cannot read the answer", read_some(STDIN_FILENO, {&c, 1}));
    if (count == 0) return fail(Code::FailedPrecondition, "no answer: standard input has ended");
    if (c == '\n' || c == '\r') return line;
    if (c == kInterrupt) return fail(Code::Cancelled, "interrupted");
    line += c;
  }
  return fail(Code::InvalidArgument, "the answer is too long");
}

}  // namespace berth::sys
