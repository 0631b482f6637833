// SQLite, as berth uses it: one file in WAL mode shared by many processes, each with its own connection.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.hpp"

struct sqlite3;
struct sqlite3_stmt;

namespace berth::db {

// One prepared statement being run. Bind in order, then step through the rows. Lives no longer than its
// Database.
class Statement {
 public:
  Statement& bind(std::int64_t value);
  Statement& bind(std::string_view value);
  Statement& bind(std::optional<std::int64_t> value);
  Statement& bind_null();

  // True while there is a row to read.
  Result<bool> step();
  // For statements that give no rows.
  Result<void> run();

  std::int64_t integer(int column) const;
  std::optional<std::int64_t> optional_integer(int column) const;
  std::string text(int column) const;  // "" for NULL

 private:
  friend class Database;
  struct Finalizer {
    void operator()(sqlite3_stmt* statement) const;
  };
  explicit Statement(sqlite3_stmt* statement) : statement_(statement) {}
  std::unique_ptr<sqlite3_stmt, Finalizer> statement_;
  int next_parameter_ = 1;
};

// A handle on a connection, which all handles of one thread on one file share. Used by the thread that opened
// it. Other processes' writers are waited for (10 s at most).
class Database {
 public:
  // Opens or makes `path` and brings it to the newest schema: migration i (from 0) takes version i to i + 1,
  // each in a transaction of its own, recorded under `component` so that several rooms may keep tables in one
  // file.
  struct Schema {
    std::string_view component;
    std::vector<std::string_view> migrations;
  };
  static Result<Database> open(const std::string& path, const Schema& schema);

  Result<Statement> prepare(std::string_view sql);
  Result<void> execute(const std::string& sql);  // one or more statements without parameters
  std::int64_t last_insert_id() const;
  std::int64_t changes() const;

  // Runs `body` inside BEGIN IMMEDIATE ... COMMIT; rolls back where it fails. Within another transaction,
  // also of another handle, it is a part of that one.
  Result<void> transaction(const std::function<Result<void>()>& body);

 private:
  struct Closer {
    void operator()(sqlite3* connection) const;
  };
  explicit Database(std::shared_ptr<sqlite3> connection) : connection_(std::move(connection)) {}
  static Result<Database> connect(const std::string& path);
  Result<void> migrate(const Schema& schema);
  std::shared_ptr<sqlite3> connection_;
};

}  // namespace berth::db
