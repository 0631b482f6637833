#include "relay/relay.hpp"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

namespace berth::relay {
namespace {

TEST(Frame, ComesTogetherFromAnyPieces) {
  const std::string bytes = encode(Kind::Data, "hello", 1) + encode(Kind::Ended, "7 0");
  FrameReader reader;
  std::vector<Frame> frames;
  for (const char byte : bytes) {
    reader.feed({&byte, 1});
    while (auto frame = *reader.next()) frames.push_back(*frame);
  }
  ASSERT_EQ(frames.size(), 2U);
  EXPECT_EQ(frames[0].payload, "hello");
  EXPECT_EQ(frames[0].stream, 1);
  EXPECT_EQ(frames[1].kind, Kind::Ended);
}

TEST(Frame, RefusesWhatIsNone) {
  for (const std::string& bytes :
       {std::string("\xff\xff\xff\xff\x06\0\0\0", 8), std::string("\0\0\0\0\0\0\0\0", 8),
        std::string("\0\0\0\0\x06\x03\0\0", 8), std::string("\0\0\0\0\x06\0\x01\0", 8)}) {
    FrameReader reader;
    reader.feed(bytes);
    EXPECT_FALSE(reader.next().has_value());
  }
}

TEST(Frame, ErrorsSurvive) {
  const Error error = decode_error(encode_error({Code::NotFound, ENOENT, "no such program: x"}));
  EXPECT_EQ(error.code, Code::NotFound);
  EXPECT_EQ(error.sys_errno, ENOENT);
  EXPECT_EQ(error.message, "no such program: x");
  for (const char* text : {"", "5", "5 2", "99 0 x", "x y z"}) decode_error(text);
  EXPECT_EQ(decode_error("99 0 x").code, Code::Internal);
}

// Two relays joined to each other; input is read from a pipe here and written to one there.
class RelayTest : public testing::Test {
 protected:
  void SetUp() override {
    auto ends = *sys::socket_pair(SOCK_STREAM);
    near_.emplace(std::move(ends.first), [](const Frame&) {});
    far_.emplace(std::move(ends.second), [this](const Frame& frame) { frames_.push_back(frame); });
    input_ = *sys::pipe();
    output_ = *sys::pipe();
    near_->read_from(0, std::move(input_.read));
    far_->write_to(0, std::move(output_.write));
  }
  void step(int times = 50) {
    for (int i = 0; i < times; ++i) {
      for (Relay* relay : {&*near_, &*far_}) {
        std::vector<pollfd> fds;
        relay->prepare(fds);
        ::poll(fds.data(), fds.size(), 1);
        relay->handle(fds);
      }
    }
  }
  std::optional<Relay> near_, far_;
  sys::Pipe input_, output_;
  std::vector<Frame> frames_;
};

TEST_F(RelayTest, CarriesBytesAndTheirEnd) {
  ASSERT_TRUE(sys::write_all(input_.write.get(), "hello").has_value());
  input_.write.reset();
  step();
  EXPECT_EQ(*sys::read_all(output_.read.get()), "hello");
}

TEST_F(RelayTest, AFullPipeHoldsTheStreamUpAndNothingElse) {
  ASSERT_TRUE(sys::write_all(input_.write.get(), std::string(60000, 'x')).has_value());
  step();
  ASSERT_TRUE(sys::write_all(input_.write.get(), std::string(60000, 'y')).has_value());
  step();
  ASSERT_TRUE(sys::write_all(input_.write.get(), std::string(60000, 'z')).has_value());
  step();
  near_->send(Kind::Signal, "15");
  step();
  ASSERT_EQ(frames_.size(), 1U);
  EXPECT_EQ(frames_[0].payload, "15");
  EXPECT_FALSE(far_->settled());
  std::string got;
  std::array<char, 65536> buffer;
  while (got.size() < 180000) {
    got.append(buffer.data(), *sys::read_some(output_.read.get(), buffer));
    step(10);
  }
  EXPECT_TRUE(far_->settled());
  EXPECT_EQ(got.back(), 'z');
}

TEST_F(RelayTest, AReaderThatGoesAwayIsTold) {
  output_.read.reset();
  ASSERT_NE(::signal(SIGPIPE, SIG_IGN), SIG_ERR);
  ASSERT_TRUE(sys::write_all(input_.write.get(), "x").has_value());
  step();
  EXPECT_LT(::write(input_.write.get(), "y", 1), 0);
  EXPECT_EQ(errno, EPIPE);
  EXPECT_FALSE(near_->closed());
}

// What the other side said before it went is heard to its end, though it takes no answer to the first of it.
TEST_F(RelayTest, TheLastWordsOfOneThatHasGoneAreHeard) {
  ASSERT_NE(::signal(SIGPIPE, SIG_IGN), SIG_ERR);
  auto ends = *sys::socket_pair(SOCK_STREAM);
  std::vector<Frame> heard;
  Relay relay(std::move(ends.first), [&heard](const Frame& frame) { heard.push_back(frame); });
  sys::Pipe output = *sys::pipe();
  relay.write_to(1, std::move(output.write));
  const std::string words =
      encode(Kind::Data, "well", 1) + encode(Kind::End, {}, 1) + encode(Kind::Ended, "0 0");
  ASSERT_TRUE(sys::write_all(ends.second.get(), words).has_value());
  ends.second.reset();
  for (int i = 0; i < 10 && !relay.closed(); ++i) {
    std::vector<pollfd> fds;
    relay.prepare(fds);
    ::poll(fds.data(), fds.size(), 1);
    relay.handle(fds);
  }
  ASSERT_EQ(heard.size(), 1U);
  EXPECT_EQ(heard[0].payload, "0 0");
  EXPECT_EQ(*sys::read_all(output.read.get()), "well");
}

TEST_F(RelayTest, MoreThanTheWindowEndsTheConnection) {
  auto ends = *sys::socket_pair(SOCK_STREAM);
  Relay victim(std::move(ends.first), [](const Frame&) {});
  sys::Pipe full = *sys::pipe();
  victim.write_to(1, std::move(full.write));
  const std::string flood = encode(Kind::Data, std::string(kWindowBytes, 'x'), 1);
  for (int i = 0; i < 200 && !victim.closed(); ++i) {
    static_cast<void>(::send(ends.second.get(), flood.data(), flood.size(), MSG_DONTWAIT | MSG_NOSIGNAL));
    std::vector<pollfd> fds;
    victim.prepare(fds);
    ::poll(fds.data(), fds.size(), 1);
    victim.handle(fds);
  }
  EXPECT_TRUE(victim.closed());
}

}  // namespace
}  // namespace berth::relay
