#include "oci/run/criu_rpc.hpp"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sys/message_socket.hpp"
#include "sys/stream_socket.hpp"

namespace berth::oci {
namespace {

constexpr int kEmpty = 0;
constexpr int kRestore = 2;
constexpr int kNotify = 6;

std::string answer(int type, bool success, const ProtobufWriter& more = {}) {
  ProtobufWriter writer;
  writer.number(1, static_cast<std::uint64_t>(type));
  writer.number(2, success ? 1 : 0);
  return writer.bytes() + more.bytes();
}

std::string restored(pid_t pid) {
  ProtobufWriter inner;
  inner.number(1, static_cast<std::uint64_t>(pid));
  ProtobufWriter outer;
  outer.text(4, inner.bytes());
  return answer(kRestore, true, outer);
}

std::string notification(std::string_view script) {
  ProtobufWriter inner;
  inner.text(1, script);
  ProtobufWriter outer;
  outer.text(5, inner.bytes());
  return answer(kNotify, true, outer);
}

TEST(CriuRpc, BytesAreThoseOfTheFormat) {
  CriuRequest request(CriuCall::Restore);
  request.number(CriuNumber::Pid, 300);
  request.flag(CriuFlag::LeaveRunning, false);
  request.flag(CriuFlag::OrphanPtsMaster);
  request.inherit("k", 5);
  // "Encoding" at protobuf.dev: 300 is ac 02; field 50's tag (50 << 3 = 400) takes two bytes.
  const std::string expected("\x08\x02\x12\x0e\x10\xac\x02\x90\x03\x01\xda\x01\x05\x0a\x01k\x10\x05", 18);
  EXPECT_EQ(request.bytes(), expected);
}

TEST(CriuRpc, AnswersAreRead) {
  const auto one = parse_criu_answer(restored(4711));
  ASSERT_TRUE(one);
  EXPECT_EQ(one->call, CriuCall::Restore);
  EXPECT_TRUE(one->success);
  EXPECT_EQ(one->pid, 4711);
  EXPECT_EQ(parse_criu_answer(restored(-1))->pid, -1);
  EXPECT_EQ(parse_criu_answer(notification("pre-dump"))->script, "pre-dump");
  ProtobufWriter words;
  words.text(9, "no space");
  const auto failure = parse_criu_answer(answer(kRestore, false, words));
  ASSERT_TRUE(failure);
  EXPECT_FALSE(failure->success);
  EXPECT_EQ(failure->message, "no space");
}

TEST(CriuRpc, FieldsOfOtherVersionsAreSkipped) {
  using namespace std::string_literals;
  const auto read = parse_criu_answer(restored(7) +
                                      "\xa1\x06"
                                      "12345678"s +
                                      "\xa5\x06"
                                      "1234"s +
                                      "\xa0\x06\x01"s);
  ASSERT_TRUE(read);
  EXPECT_EQ(read->pid, 7);
}

TEST(CriuRpc, EveryPieceOfAnAnswerIsReadOrRefused) {
  const std::string whole = notification("orphan-pts-master");
  for (std::size_t size = 0; size < whole.size(); ++size) {
    const auto read = parse_criu_answer(std::string_view(whole).substr(0, size));
    EXPECT_TRUE(!read || read->script.empty()) << size;
  }
}

TEST(CriuRpc, WhatIsNoAnswerIsRefused) {
  using namespace std::string_literals;
  for (const std::string& bytes : {""s, "\x10\x01"s, "\x08"s, "\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02"s,
                                   "\x08\x01\x4a\xff\xff\xff\xff\x0f"s,
                                   "\x08\x01\x4a\x05"
                                   "four"s,
                                   "\x08\x01\x0b"s, "\x08\x01\x00\x00"s, "\x08\x01\x22\x02\x08\xff"s,
                                   "\x08\x01\xf8\xff\xff\xff\xff\xff\xff\xff\xff\x01\x01"s})
    EXPECT_FALSE(parse_criu_answer(bytes)) << testing::PrintToString(bytes);
}

// The other side of a conversation, with its part said in advance.
class Conversation {
 public:
  void says(const std::string& message) {
    ASSERT_EQ(sys::send_message(theirs_.get(), message), sys::Transfer::Done);
  }
  void says_with(const std::string& message, int fd) {
    ASSERT_TRUE(sys::send_with_descriptors(theirs_.get(), message, std::span(&fd, 1)));
  }
  std::string hears() {
    std::string message;
    return sys::receive_message(theirs_.get(), message) == sys::Transfer::Done ? message : "";
  }
  void ends() { theirs_.reset(); }
  Result<CriuOutcome> ask() { return ask_criu(ours_.get(), CriuRequest(CriuCall::Restore)); }

 private:
  std::pair<sys::Fd, sys::Fd> pair_ = *sys::socket_pair(SOCK_SEQPACKET);
  sys::Fd ours_ = std::move(pair_.first);
  sys::Fd theirs_ = std::move(pair_.second);
};

TEST(CriuRpc, ATerminalComesWithItsNotification) {
  auto pipe = *sys::pipe();
  Conversation other;
  other.says_with(notification("setup-namespaces"), pipe.write.get());  // not asked for: closed
  other.says_with(notification("orphan-pts-master"), pipe.read.get());
  other.says(notification("post-restore"));
  other.says(restored(12));
  const auto outcome = other.ask();
  ASSERT_TRUE(outcome);
  EXPECT_EQ(outcome->pid, 12);
  struct stat came {};
  struct stat sent {};
  ASSERT_EQ(::fstat(outcome->terminal.get(), &came), 0);
  ASSERT_EQ(::fstat(pipe.read.get(), &sent), 0);
  EXPECT_EQ(came.st_ino, sent.st_ino);
  EXPECT_NE(::fcntl(outcome->terminal.get(), F_GETFD) & FD_CLOEXEC, 0);
  EXPECT_EQ(other.hears(), std::string("\x08\x02\x12\x00", 4));
  for (int count = 0; count < 3; ++count) EXPECT_EQ(other.hears(), std::string("\x08\x06\x18\x01", 4));
}

TEST(CriuRpc, FailuresAreTold) {
  ProtobufWriter words;
  words.text(9, "Can't do this");
  Conversation other;
  other.says(answer(kRestore, false, words));
  const auto outcome = other.ask();
  ASSERT_FALSE(outcome);
  EXPECT_EQ(outcome.error().code, Code::FailedPrecondition);
  EXPECT_EQ(outcome.error().message, "Can't do this");
}

TEST(CriuRpc, AnEndWithoutAnAnswer) {
  Conversation other;
  other.says(notification("pre-restore"));
  other.ends();
  const auto outcome = other.ask();
  ASSERT_FALSE(outcome);
  EXPECT_EQ(outcome.error().code, Code::Aborted);
}

TEST(CriuRpc, AnAnswerToSomethingElse) {
  Conversation other;
  other.says(answer(kEmpty, true));
  EXPECT_FALSE(other.ask());
  other.says("\x07");
  EXPECT_FALSE(other.ask());
}

}  // namespace
}  // namespace berth::oci
