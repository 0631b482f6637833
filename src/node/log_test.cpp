#include <fmt/core.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include "base/text.hpp"
#include "node/log_line.hpp"
#include "node/log_reader.hpp"
#include "node/log_writer.hpp"

namespace berth::node {
namespace {

constexpr std::string_view kWhen = "2026-01-02T03:04:05.000000006Z";

std::string entries(std::string_view bytes) {
  std::string out;
  append_log_entries(out, kWhen, Stream::Stderr, bytes);
  return out;
}

TEST(LogLineTest, WholeLinesAndAPart) {
  EXPECT_EQ(entries("one\n\ntwo"), fmt::format("{0} stderr F one\n{0} stderr F \n{0} stderr P two\n", kWhen));
  EXPECT_EQ(entries(""), "");
}

TEST(LogLineTest, LongLinesAreCut) {
  const std::string text = entries(fmt::format("{}\n", std::string(kMaxLogPart + 5, 'x')));
  const auto lines = split(text, '\n');
  ASSERT_EQ(lines.size(), 3U);  // and nothing after the last newline
  EXPECT_EQ(parse_log_entry(lines[0])->content.size(), kMaxLogPart);
  EXPECT_TRUE(parse_log_entry(lines[0])->partial);
  EXPECT_EQ(parse_log_entry(lines[1])->content, "xxxxx");
  EXPECT_FALSE(parse_log_entry(lines[1])->partial);
}

TEST(LogLineTest, ReadsBackWhatItWrote) {
  const auto entry = parse_log_entry("2026-01-02T03:04:05.000000006Z stdout P a b  c");
  ASSERT_TRUE(entry.has_value());
  EXPECT_EQ(entry->timestamp, kWhen);
  EXPECT_EQ(entry->content, "a b  c");
  EXPECT_EQ(parse_log_entry("2026 stdout F ")->content, "");
  EXPECT_FALSE(parse_log_entry("").has_value());
  EXPECT_FALSE(parse_log_entry("2026 stdlog F x").has_value());
  EXPECT_FALSE(parse_log_entry("torn 01-02T03").has_value());
}

class LogFileTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = testing::TempDir() + "berth-log-XXXXXX";
    directory_ = ::mkdtemp(pattern.data());
    path_ = directory_ + "/output.log";
  }
  void TearDown() override { ASSERT_TRUE(sys::remove_tree(directory_).has_value()); }

  std::string read(const LogQuery& query) {
    std::string text;
    EXPECT_TRUE(read_log(path_, query, [&](const LogEntry& entry) {
                  text += entry.content;
                  if (!entry.partial) text += '\n';
                  return Result<void>();
                }).has_value());
    return text;
  }
  std::string directory_;
  std::string path_;
};

TEST_F(LogFileTest, RotatesBySizeAndCount) {
  LogWriter writer = *LogWriter::open(path_, {.max_bytes = 200, .max_files = 3});
  for (int i = 0; i < 50; ++i)
    ASSERT_TRUE(writer.write(Stream::Stdout, "line " + std::to_string(i) + "\n").has_value());
  EXPECT_TRUE(sys::exists(path_ + ".1"));
  EXPECT_TRUE(sys::exists(path_ + ".2"));
  EXPECT_FALSE(sys::exists(path_ + ".3"));
  for (const auto* suffix : {"", ".1", ".2"}) EXPECT_LE((*sys::stat(path_ + suffix)).st_size, 200);
  const std::string text = read({});
  EXPECT_TRUE(text.ends_with("line 48\nline 49\n"));
  EXPECT_EQ(text.find("line 0\n"), std::string::npos);
}

TEST_F(LogFileTest, OneFileIsTruncatedByRotation) {
  LogWriter writer = *LogWriter::open(path_, {.max_bytes = 100, .max_files = 1});
  for (int i = 0; i < 20; ++i) ASSERT_TRUE(writer.write(Stream::Stdout, "x\n").has_value());
  EXPECT_FALSE(sys::exists(path_ + ".1"));
  EXPECT_LE((*sys::stat(path_)).st_size, 100);
}

TEST_F(LogFileTest, TailCountsWholeLinesAcrossFiles) {
  LogWriter writer = *LogWriter::open(path_, {.max_bytes = 120, .max_files = 20});
  for (int i = 0; i < 10; ++i) {
    ASSERT_TRUE(writer.write(Stream::Stdout, "part").has_value());
    ASSERT_TRUE(writer.write(Stream::Stdout, " " + std::to_string(i) + "\n").has_value());
  }
  EXPECT_EQ(read({.tail = 3}), "part 7\npart 8\npart 9\n");
  EXPECT_EQ(read({.tail = 0}), "");
  EXPECT_EQ(split(read({}), '\n').size(), 11U);
}

TEST_F(LogFileTest, SinceAndUntil) {
  ASSERT_TRUE(sys::replace_file(path_,
                                "2026-01-01T00:00:00.000000000Z stdout F old\n"
                                "2026-01-02T00:00:00.000000000Z stdout F middle\n"
                                "2026-01-03T00:00:00.000000000Z stderr F new\n")
                  .has_value());
  EXPECT_EQ(read({.since = "2026-01-02T00:00:00.000000000Z"}), "middle\nnew\n");
  EXPECT_EQ(read({.until = "2026-01-02T00:00:00.000000000Z"}), "old\nmiddle\n");
}

}  // namespace
}  // namespace berth::node
