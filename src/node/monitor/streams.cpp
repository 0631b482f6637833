#include "node/monitor/streams.hpp"

#include <fmt/core.h>
#include <unistd.h>

#include "sys/message_socket.hpp"

namespace berth::node {
namespace {

constexpr char kEndOfInput = 4;  // ^D

std::string fifo_path(const std::string& run_dir, int number) {
  constexpr std::array<std::string_view, 3> kNames = {"stdin", "stdout", "stderr"};
  return fmt::format("{}/{}", run_dir, kNames[static_cast<std::size_t>(number)]);
}

Result<void> make_fifo(const std::string& path) {
  if (::unlink(path.c_str()) != 0 && errno != ENOENT)
    return fail_errno(fmt::format("cannot replace {}", path));
  if (::mkfifo(path.c_str(), 0600) != 0 || ::chmod(path.c_str(), 0666) != 0) {
    return fail_errno(fmt::format("cannot make {}", path));
  }
  return {};
}

}  // namespace

Result<Streams> Streams::create(const isolate::UnitConfig& config, const std::string& run_dir) {
  Streams streams;
  streams.tty_ = config.tty;
  if (config.tty) return streams;
  for (int number = config.stdin_open ? 0 : 1; number <= 2; ++number)
    TRY(make_fifo(fifo_path(run_dir, number)));
  streams.out_ = TRY(sys::open(fifo_path(run_dir, 1), O_RDONLY | O_NONBLOCK));
  streams.err_ = TRY(sys::open(fifo_path(run_dir, 2), O_RDONLY | O_NONBLOCK));
  streams.theirs_[1] = TRY(sys::open(fifo_path(run_dir, 1), O_RDWR));
  streams.theirs_[2] = TRY(sys::open(fifo_path(run_dir, 2), O_RDWR));
  if (!config.stdin_open) {
    streams.theirs_[0] = TRY(sys::open("/dev/null", O_RDONLY));
    return streams;
  }
  streams.theirs_[0] = TRY(sys::open(fifo_path(run_dir, 0), O_RDONLY | O_NONBLOCK));
  TRY(sys::set_nonblocking(streams.theirs_[0].get(), false));
  streams.in_ = TRY(sys::open(fifo_path(run_dir, 0), O_WRONLY | O_NONBLOCK));
  return streams;
}

Result<Streams> Streams::reopen(const isolate::UnitConfig& config, const std::string& run_dir) {
  Streams streams;
  streams.tty_ = config.tty;
  if (config.tty) return streams;
  streams.out_ = TRY(sys::open(fifo_path(run_dir, 1), O_RDONLY | O_NONBLOCK));
  streams.err_ = TRY(sys::open(fifo_path(run_dir, 2), O_RDONLY | O_NONBLOCK));
  if (config.stdin_open) {
    auto input = sys::open(fifo_path(run_dir, 0), O_WRONLY | O_NONBLOCK);
    if (input) streams.in_ = *std::move(input);  // otherwise the workload has closed its end
  }
  return streams;
}

isolate::Stdio Streams::stdio() const {
  return {.fds = {theirs_[0].get(), theirs_[1].get(), theirs_[2].get()}, .tty = tty_};
}

void Streams::launched(sys::Fd terminal) {
  for (sys::Fd& fd : theirs_) fd.reset();
  if (!tty_) return;
  out_ = std::move(terminal);
  static_cast<void>(sys::set_nonblocking(out_.get(), true));
}

int Streams::output(Stream stream) const { return stream == Stream::Stdout ? out_.get() : err_.get(); }

std::string_view Streams::read(Stream stream, std::span<char> buffer) {
  sys::Fd& fd = stream == Stream::Stdout ? out_ : err_;
  if (!fd) return {};
  const ssize_t count = ::read(fd.get(), buffer.data(), buffer.size());
  if (count > 0) return {buffer.data(), static_cast<std::size_t>(count)};
  if (count == 0 || (errno != EAGAIN && errno != EINTR))
    fd.reset();  // EIO: the terminal's last user has gone
  return {};
}

int Streams::input() const { return tty_ ? out_.get() : in_.get(); }

void Streams::write(std::string& bytes) {
  if (input() < 0) return bytes.clear();
  const ssize_t count = ::write(input(), bytes.data(), bytes.size());
  if (count >= 0) bytes.erase(0, static_cast<std::size_t>(count));
  if (count < 0 && errno != EAGAIN && errno != EINTR) {
    bytes.clear();
    in_.reset();
  }
}

void Streams::close_input() {
  if (tty_ && out_) {
    [[maybe_unused]] const ssize_t count = ::write(out_.get(), &kEndOfInput, 1);
  }
  in_.reset();
}

void Streams::resize(sys::WindowSize size) {
  if (tty_ && out_) static_cast<void>(sys::set_window_size(out_.get(), size));
}

}  // namespace berth::node
