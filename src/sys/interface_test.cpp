#include "sys/interface.hpp"

#include <arpa/inet.h>
#include <gtest/gtest.h>

namespace berth::sys {
namespace {

TEST(Interface, AddressesAreChecked) {
  const auto good = parse_ipv4_interface("192.0.2.7/24");
  ASSERT_TRUE(good) << good.error().message;
  EXPECT_EQ(ntohl(good->address), 0xc0000207U);
  EXPECT_EQ(good->prefix, 24U);
  for (const char* text :
       {"", "192.0.2.7", "192.0.2.7/0", "192.0.2.7/32", "192.0.2/24", "192.0.2.256/24", "a/b", "::1/64"})
    EXPECT_FALSE(parse_ipv4_interface(text)) << text;
}

TEST(Interface, WhatIsNotThereIsNamed) {
  const auto none = configure_interface("berth-no-such", {1, 24, 0});
  ASSERT_FALSE(none);
  EXPECT_NE(none.error().message.find("berth-no-such"), std::string::npos);
  EXPECT_EQ(open_tap("berth-no-such").error().code, Code::NotFound);
  EXPECT_FALSE(open_tap("a-name-that-is-much-too-long"));
  EXPECT_FALSE(open_tap(""));
}

}  // namespace
}  // namespace berth::sys
