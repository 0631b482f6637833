#include "db/database.hpp"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>

namespace berth::db {
namespace {

class DatabaseTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = testing::TempDir() + "berth-db-XXXXXX";
    directory_ = ::mkdtemp(pattern.data());
  }
  void TearDown() override { std::filesystem::remove_all(directory_); }
  std::string path() const { return directory_ + "/x.db"; }
  std::string directory_;
};

TEST_F(DatabaseTest, MigratesEachComponentOnce) {
  const Database::Schema one{"one", {"CREATE TABLE a (x INTEGER)"}};
  const Database::Schema two{"one", {"CREATE TABLE a (x INTEGER)", "CREATE TABLE b (y TEXT)"}};
  ASSERT_TRUE(Database::open(path(), one).has_value());
  ASSERT_TRUE(Database::open(path(), one).has_value());
  auto newer = Database::open(path(), two);
  ASSERT_TRUE(newer.has_value()) << newer.error().message;
  EXPECT_TRUE(newer->execute("INSERT INTO b VALUES ('x')").has_value());
  ASSERT_TRUE(Database::open(path(), {"other", {"CREATE TABLE c (z)"}}).has_value());
  EXPECT_EQ(Database::open(path(), one).error().code, Code::FailedPrecondition);
}

TEST_F(DatabaseTest, RollsBackFailedTransactions) {
  auto database = *Database::open(path(), {"t", {"CREATE TABLE a (x INTEGER UNIQUE, s TEXT)"}});
  const auto result = database.transaction([&]() -> Result<void> {
    TRY(TRY(database.prepare("INSERT INTO a VALUES (?, ?)")).bind(std::int64_t{1}).bind("one").run());
    return fail(Code::Aborted, "no");
  });
  EXPECT_EQ(result.error().code, Code::Aborted);
  auto count = *database.prepare("SELECT count(*) FROM a");
  ASSERT_TRUE(*count.step());
  EXPECT_EQ(count.integer(0), 0);
}

TEST_F(DatabaseTest, ConstraintsAreAlreadyExists) {
  auto database = *Database::open(path(), {"t", {"CREATE TABLE a (x INTEGER UNIQUE)"}});
  ASSERT_TRUE(database.execute("INSERT INTO a VALUES (1)").has_value());
  EXPECT_EQ(database.execute("INSERT INTO a VALUES (1)").error().code, Code::AlreadyExists);
}

}  // namespace
}  // namespace berth::db
