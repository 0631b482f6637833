#include "node/protocol.hpp"

#include <gtest/gtest.h>

namespace berth::node {
namespace {

TEST(ProtocolTest, MessagesRoundTrip) {
  const std::string message = encode(Message::Stdout, std::string("a\0b", 3));
  const auto received = decode(message);
  ASSERT_TRUE(received.has_value());
  EXPECT_EQ(received->kind, Message::Stdout);
  EXPECT_EQ(received->payload, std::string_view("a\0b", 3));
  EXPECT_FALSE(decode("").has_value());
  EXPECT_FALSE(decode("?x").has_value());
}

TEST(ProtocolTest, ErrorsRoundTrip) {
  const Error error = decode_error(encode_error({Code::NotFound, ENOENT, "no such program: x y"}));
  EXPECT_EQ(error.code, Code::NotFound);
  EXPECT_EQ(error.sys_errno, ENOENT);
  EXPECT_EQ(error.message, "no such program: x y");
  EXPECT_EQ(decode_error("junk").code, Code::Internal);
  EXPECT_EQ(decode_error("99 0 x").code, Code::Internal);
}

TEST(ProtocolTest, SizesAreChecked) {
  EXPECT_EQ(decode_size(encode_size({24, 80}))->columns, 80);
  EXPECT_FALSE(decode_size("24").has_value());
  EXPECT_FALSE(decode_size("24 70000").has_value());
  EXPECT_FALSE(decode_size("-1 80").has_value());
}

TEST(ProtocolTest, AttachWishes) {
  const AttachWish wish = decode_attach(encode_attach({.output = true, .input = false, .lossless = true}));
  EXPECT_TRUE(wish.output);
  EXPECT_FALSE(wish.input);
  EXPECT_TRUE(wish.lossless);
}

}  // namespace
}  // namespace berth::node
