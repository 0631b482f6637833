#include "oci/run/criu_rpc.hpp"

#include <fmt/core.h>
#include <poll.h>

#include <chrono>

#include "sys/message_socket.hpp"

namespace berth::oci {
namespace {

// Fields of criu_req, criu_resp, criu_restore_resp, criu_notify and inherit_fd.
constexpr std::uint32_t kType = 1;
constexpr std::uint32_t kRequestOptions = 2;
constexpr std::uint32_t kRequestNotifySuccess = 3;
constexpr std::uint32_t kAnswerSuccess = 2;
constexpr std::uint32_t kAnswerRestore = 4;
constexpr std::uint32_t kAnswerNotify = 5;
constexpr std::uint32_t kAnswerMessage = 9;
constexpr std::uint32_t kRestorePid = 1;
constexpr std::uint32_t kNotifyScript = 1;
constexpr std::uint32_t kInheritKey = 1;
constexpr std::uint32_t kInheritFd = 2;
constexpr std::uint32_t kInherit = 27;  // of criu_opts

constexpr const char* kTerminalIsOrphan = "orphan-pts-master";

// The field `id` of a message within a message, the last where there are several.
Result<ProtobufField> find_field(std::string_view message, std::uint32_t id) {
  ProtobufField found;
  while (const auto field = TRY(next_field(message))) {
    if (field->id == id) found = *field;
  }
  return found;
}

std::string notified() {
  ProtobufWriter writer;
  writer.number(kType, static_cast<std::uint32_t>(CriuCall::Notify));
  writer.number(kRequestNotifySuccess, 1);
  return writer.bytes();
}

Result<void> tell(int socket, const std::string& message) {
  if (sys::send_message(socket, message) == sys::Transfer::Done) return {};
  return fail(Code::Aborted, "it ended before it was told all");
}

Result<void> wait_for_message(int socket) {
  constexpr int kPatienceMs = std::chrono::milliseconds(std::chrono::minutes(30)).count();
  pollfd item{socket, POLLIN, 0};
  int ready = -1;
  do {
    ready = ::poll(&item, 1, kPatienceMs);
  } while (ready < 0 && errno == EINTR);
  if (ready < 0) return fail_errno("cannot wait for it");
  return ready > 0 ? Result<void>() : fail(Code::DeadlineExceeded, "it said nothing for half an hour");
}

}  // namespace

void CriuRequest::flag(CriuFlag field, bool on) {
  if (on) options_.number(static_cast<std::uint32_t>(field), 1);
}

void CriuRequest::number(CriuNumber field, int value) {
  BERTH_ASSERT(value >= 0);
  options_.number(static_cast<std::uint32_t>(field), static_cast<std::uint64_t>(value));
}

void CriuRequest::text(CriuText field, std::string_view value) {
  options_.text(static_cast<std::uint32_t>(field), value);
}

void CriuRequest::inherit(std::string_view key, int fd) {
  BERTH_ASSERT(fd >= 0);
  ProtobufWriter entry;
  entry.text(kInheritKey, key);
  entry.number(kInheritFd, static_cast<std::uint64_t>(fd));
  options_.text(kInherit, entry.bytes());
}

std::string CriuRequest::bytes() const {
  ProtobufWriter writer;
  writer.number(kType, static_cast<std::uint32_t>(call_));
  writer.text(kRequestOptions, options_.bytes());
  return writer.bytes();
}

Result<CriuAnswer> parse_criu_answer(std::string_view bytes) {
  CriuAnswer answer;
  bool typed = false;
  while (const auto field = TRY(next_field(bytes))) {
    if (field->id == kType && field->number) {
      answer.call = static_cast<CriuCall>(*field->number);
      typed = true;
    } else if (field->id == kAnswerSuccess && field->number) {
      answer.success = *field->number != 0;
    } else if (field->id == kAnswerRestore) {
      const auto pid = TRY(find_field(field->text, kRestorePid)).number;
      if (pid) answer.pid = static_cast<pid_t>(*pid);  // negative ones are sign-extended to 64 bits
    } else if (field->id == kAnswerNotify) {
      answer.script = TRY(find_field(field->text, kNotifyScript)).text;
    } else if (field->id == kAnswerMessage) {
      answer.message = field->text;
    }
  }
  if (!typed) return fail(Code::InvalidArgument, "its answer has no type");
  return answer;
}

Result<CriuOutcome> ask_criu(int socket, const CriuRequest& request) {
  TRY(tell(socket, request.bytes()));
  CriuOutcome outcome;
  std::string buffer;
  for (;;) {
    TRY(wait_for_message(socket));
    sys::Fd came;
    if (sys::receive_message(socket, buffer, came) != sys::Transfer::Done)
      return fail(Code::Aborted, "it ended without an answer");
    const CriuAnswer answer = TRY(parse_criu_answer(buffer));
    if (!answer.success)
      return fail(Code::FailedPrecondition, answer.message.empty() ? "it failed" : answer.message);
    if (answer.call == request.call()) {
      outcome.pid = answer.pid;
      return outcome;
    }
    if (answer.call != CriuCall::Notify) {
      return fail(Code::Internal,
                  fmt::format("it answered something else ({})", static_cast<std::uint32_t>(answer.call)));
    }
    if (answer.script == kTerminalIsOrphan) outcome.terminal = std::move(came);
    TRY(tell(socket, notified()));
  }
}

}  // namespace berth::oci
