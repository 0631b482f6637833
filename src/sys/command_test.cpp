#include "sys/command.hpp"

#include <gtest/gtest.h>

namespace berth::sys {
namespace {

using namespace std::chrono_literals;

TEST(Command, InputOutputAndExitCode) {
  const auto output = run_command({"sh", "-c", "cat; exit 3"}, {.text = "hello"});
  ASSERT_TRUE(output.has_value()) << output.error().message;
  EXPECT_EQ(output->text, "hello");
  EXPECT_EQ(output->exit_code, 3);
}

TEST(Command, NoSuchProgram) {
  const auto output = run_command({"berth-no-such-program"}, {});
  ASSERT_FALSE(output.has_value());
  EXPECT_EQ(output.error().code, Code::NotFound);
}

TEST(Command, BoundedInTimeAndSize) {
  const auto slow = run_command({"sleep", "60"}, {.timeout = 50ms});
  ASSERT_FALSE(slow.has_value());
  EXPECT_EQ(slow.error().code, Code::DeadlineExceeded);
  const auto loud = run_command({"yes"}, {.max_output_bytes = 1000});
  ASSERT_FALSE(loud.has_value());
  EXPECT_EQ(loud.error().code, Code::ResourceExhausted);
}

}  // namespace
}  // namespace berth::sys
