#include "node/exec_streams.hpp"

#include <poll.h>
#include <unistd.h>

#include <optional>

#include "node/signal_watch.hpp"
#include "sys/message_socket.hpp"
#include "sys/process.hpp"
#include "sys/terminal.hpp"
#include "sys/tty.hpp"

namespace berth::node {
namespace {

constexpr std::size_t kChunkBytes = 16 << 10;
constexpr char kEndOfInput = 4;  // ^D

}  // namespace

Result<ExecStreams> ExecStreams::create(bool tty, bool input) {
  ExecStreams streams;
  streams.tty_ = tty;
  streams.input_open_ = input;
  if (tty) return streams;
  if (input) {
    auto pipe = TRY(sys::pipe());
    streams.theirs_[0] = std::move(pipe.read);
    streams.in_ = std::move(pipe.write);
    TRY(sys::set_nonblocking(streams.in_.get(), true));
  } else {
    streams.theirs_[0] = TRY(sys::open("/dev/null", O_RDONLY));
  }
  for (const int number : {1, 2}) {
    auto pipe = TRY(sys::pipe());
    streams.theirs_[static_cast<std::size_t>(number)] = std::move(pipe.write);
    (number == 1 ? streams.out_ : streams.err_) = std::move(pipe.read);
  }
  TRY(sys::set_nonblocking(streams.out_.get(), true));
  TRY(sys::set_nonblocking(streams.err_.get(), true));
  return streams;
}

isolate::Stdio ExecStreams::stdio() const {
  return {.fds = {theirs_[0].get(), theirs_[1].get(), theirs_[2].get()}, .tty = tty_};
}

void ExecStreams::launched(sys::Fd terminal) {
  for (sys::Fd& fd : theirs_) fd.reset();
  if (!tty_) return;
  out_ = std::move(terminal);
  static_cast<void>(sys::set_nonblocking(out_.get(), true));
}

// True where there may be more at once.
Result<bool> ExecStreams::copy_output(sys::Fd& from, int to) {
  std::array<char, kChunkBytes> buffer;
  const ssize_t count = from ? ::read(from.get(), buffer.data(), buffer.size()) : 0;
  if (count > 0) {
    TRY(sys::write_all(to, {buffer.data(), static_cast<std::size_t>(count)}));
    return true;
  }
  if (count == 0 || (errno != EAGAIN && errno != EINTR)) from.reset();
  return false;
}

void ExecStreams::flush_input() {
  if (input_fd() < 0) return pending_.clear();
  const ssize_t count = ::write(input_fd(), pending_.data(), pending_.size());
  if (count > 0) pending_.erase(0, static_cast<std::size_t>(count));
  if (count < 0 && errno != EAGAIN && errno != EINTR) {
    pending_.clear();
    in_.reset();
    input_open_ = false;
  }
  if (pending_.empty() && !input_open_) in_.reset();
}

void ExecStreams::copy_input() {
  std::array<char, kChunkBytes> buffer;
  const ssize_t count = ::read(STDIN_FILENO, buffer.data(), buffer.size());
  if (count < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (count > 0) pending_.assign(buffer.data(), static_cast<std::size_t>(count));
  if (count <= 0) {
    input_open_ = false;
    if (tty_) pending_.assign(1, kEndOfInput);
  }
  flush_input();
}

Result<void> ExecStreams::serve(int pidfd) {
  const SignalWatch signals = TRY(SignalWatch::start(true));
  std::optional<sys::RawMode> raw;
  if (tty_ && input_open_ && sys::is_terminal(STDIN_FILENO))
    raw.emplace(TRY(sys::RawMode::enter(STDIN_FILENO)));
  const auto resize = [&] {
    const auto size = sys::window_size(STDIN_FILENO);
    if (tty_ && size.rows > 0 && out_) static_cast<void>(sys::set_window_size(out_.get(), size));
  };
  resize();
  for (bool ended = false; !ended;) {
    std::array<pollfd, 6> fds = {pollfd{out_.get(), POLLIN, 0},
                                 pollfd{err_.get(), POLLIN, 0},
                                 pollfd{pidfd, POLLIN, 0},
                                 pollfd{signals.fd(), POLLIN, 0},
                                 pollfd{input_open_ && pending_.empty() ? STDIN_FILENO : -1, POLLIN, 0},
                                 pollfd{pending_.empty() ? -1 : input_fd(), POLLOUT, 0}};
    if (::poll(fds.data(), fds.size(), -1) < 0 && errno != EINTR)
      return fail_errno("cannot wait for the process");
    if (fds[3].revents != 0) {
      for (const int number : signals.take()) {
        if (number == SIGWINCH)
          resize();
        else
          static_cast<void>(sys::send_signal(pidfd, number));
      }
    }
    if (fds[4].revents != 0) copy_input();
    if (fds[5].revents != 0) flush_input();
    if (fds[0].revents != 0) TRY(copy_output(out_, STDOUT_FILENO));
    if (fds[1].revents != 0) TRY(copy_output(err_, STDERR_FILENO));
    ended = fds[2].revents != 0;
  }
  while (TRY(copy_output(out_, STDOUT_FILENO))) {
  }
  while (TRY(copy_output(err_, STDERR_FILENO))) {
  }
  return {};
}

}  // namespace berth::node
