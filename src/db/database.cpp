#include "db/database.hpp"

#include <fmt/core.h>
#include <sqlite3.h>

#include <map>

namespace berth::db {
namespace {

constexpr int kBusyTimeoutMs = 10000;

Code code_from_sqlite(int result) {
  switch (result & 0xff) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return Code::Unavailable;
    case SQLITE_FULL:
    case SQLITE_NOMEM:
      return Code::ResourceExhausted;
    case SQLITE_CONSTRAINT:
      return Code::AlreadyExists;
    case SQLITE_PERM:
    case SQLITE_READONLY:
    case SQLITE_CANTOPEN:
    case SQLITE_AUTH:
      return Code::PermissionDenied;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      return Code::DataLoss;
    default:
      return Code::Internal;
  }
}

Failure fail_sqlite(sqlite3* connection, std::string_view operation) {
  const int result = sqlite3_extended_errcode(connection);
  return fail(Error{code_from_sqlite(result), sqlite3_system_errno(connection),
                    fmt::format("{}: {}", operation, sqlite3_errmsg(connection))});
}

// SQLite sets memory aside for big databases, and touches all of it, at each connection: some forty page
// faults, which under virtualisation cost more than all our statements.
bool configure_library() {
  constexpr int kLookasideBytes = 128;
  constexpr int kLookasideSlots = 64;
  return sqlite3_config(SQLITE_CONFIG_PAGECACHE, nullptr, 0, 0) == SQLITE_OK &&
         sqlite3_config(SQLITE_CONFIG_LOOKASIDE, kLookasideBytes, kLookasideSlots) == SQLITE_OK &&
         sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0) == SQLITE_OK;
}

}  // namespace

void Statement::Finalizer::operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }
void Database::Closer::operator()(sqlite3* connection) const { sqlite3_close_v2(connection); }

Statement& Statement::bind(std::int64_t value) {
  sqlite3_bind_int64(statement_.get(), next_parameter_++, value);
  return *this;
}

Statement& Statement::bind(std::string_view value) {
  const auto destructor =
      reinterpret_cast<sqlite3_destructor_type>(-1);  // SQLITE_TRANSIENT, without its C cast
  sqlite3_bind_text64(statement_.get(), next_parameter_++, value.data() == nullptr ? "" : value.data(),
                      value.size(), destructor, SQLITE_UTF8);
  return *this;
}

Statement& Statement::bind(std::optional<std::int64_t> value) { return value ? bind(*value) : bind_null(); }

Statement& Statement::bind_null() {
  sqlite3_bind_null(statement_.get(), next_parameter_++);
  return *this;
}

Result<bool> Statement::step() {
  const int result = sqlite3_step(statement_.get());
  if (result == SQLITE_ROW) return true;
  if (result == SQLITE_DONE) return false;
  return fail_sqlite(sqlite3_db_handle(statement_.get()), "the state database failed");
}

Result<void> Statement::run() {
  while (TRY(step())) {
  }
  return {};
}

std::int64_t Statement::integer(int column) const { return sqlite3_column_int64(statement_.get(), column); }

std::optional<std::int64_t> Statement::optional_integer(int column) const {
  if (sqlite3_column_type(statement_.get(), column) == SQLITE_NULL) return std::nullopt;
  return integer(column);
}

std::string Statement::text(int column) const {
  const unsigned char* bytes = sqlite3_column_text(statement_.get(), column);
  const int size = sqlite3_column_bytes(statement_.get(), column);
  if (bytes == nullptr) return {};
  return {reinterpret_cast<const char*>(bytes), static_cast<std::size_t>(size)};
}

Result<Database> Database::connect(const std::string& path) {
  static const bool configured = configure_library();
  BERTH_ASSERT(configured);
  sqlite3* raw = nullptr;
  const int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX;
  const int result = sqlite3_open_v2(path.c_str(), &raw, flags, nullptr);
  Database database(std::shared_ptr<sqlite3>(raw, Closer()));
  if (result != SQLITE_OK) {
    const int error = raw != nullptr ? sqlite3_system_errno(raw) : ENOMEM;
    const std::string attempt = fmt::format("cannot open the state database {}", path);
    return error != 0 ? fail_errno(attempt, error) : fail_sqlite(raw, attempt);
  }
  sqlite3_busy_timeout(raw, kBusyTimeoutMs);
  sqlite3_extended_result_codes(raw, 1);
  // Closing the last connection would copy the log back and sync it: tens of milliseconds at the end of every
  // command.
  sqlite3_db_config(raw, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, nullptr);
  // Whoever comes when nobody else has the database open reads the whole log anew, so it is kept short
  // (256 KiB). WAL with NORMAL: a crash of any process loses nothing; a power cut may lose the last commits
  // but never corrupts.
  TRY(
      database.execute("PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL; PRAGMA foreign_keys=ON; PRAGMA "
                       "wal_autocheckpoint=64;"));
  return database;
}

Result<Database> Database::open(const std::string& path, const Schema& schema) {
  // A connection costs far more than a statement; it ends with the last handle on it.
  thread_local std::map<std::string, std::weak_ptr<sqlite3>> connections;
  std::weak_ptr<sqlite3>& known = connections[path];
  std::shared_ptr<sqlite3> connection = known.lock();
  if (!connection) {
    known = connection = TRY(connect(path)).connection_;
  }
  Database database(std::move(connection));
  TRY_DURING(path, database.migrate(schema));
  return database;
}

Result<void> Database::migrate(const Schema& schema) {
  const auto version = [&]() -> Result<std::int64_t> {
    auto read = prepare("SELECT version FROM schema_versions WHERE component = ?");
    if (!read) return std::int64_t{-1};
    read->bind(schema.component);
    return TRY(read->step()) ? read->integer(0) : std::int64_t{0};
  };
  const auto newest = static_cast<std::int64_t>(schema.migrations.size());
  std::int64_t current = TRY(version());
  if (current == newest) return {};
  if (current > newest) {
    return fail(Code::FailedPrecondition,
                fmt::format("{}: made by a newer berth (schema {}, this one knows {})", schema.component,
                            current, newest));
  }
  return transaction([&]() -> Result<void> {
    TRY(execute(
        "CREATE TABLE IF NOT EXISTS schema_versions (component TEXT PRIMARY KEY, version INTEGER NOT NULL)"));
    current = TRY(version());  // another process may have been quicker
    for (std::int64_t i = current; i < newest; ++i)
      TRY(execute(std::string(schema.migrations[static_cast<std::size_t>(i)])));
    Statement record =
        TRY(prepare("INSERT INTO schema_versions VALUES (?, ?) "
                    "ON CONFLICT (component) DO UPDATE SET version = excluded.version"));
    return record.bind(schema.component).bind(newest).run();
  });
}

Result<Statement> Database::prepare(std::string_view sql) {
  sqlite3_stmt* statement = nullptr;
  if (sqlite3_prepare_v2(connection_.get(), sql.data(), static_cast<int>(sql.size()), &statement, nullptr) !=
      SQLITE_OK) {
    return fail_sqlite(connection_.get(), "the state database refused a statement");
  }
  return Statement(statement);
}

Result<void> Database::execute(const std::string& sql) {
  if (sqlite3_exec(connection_.get(), sql.c_str(), nullptr, nullptr, nullptr) != SQLITE_OK) {
    return fail_sqlite(connection_.get(), "the state database failed");
  }
  return {};
}

std::int64_t Database::last_insert_id() const { return sqlite3_last_insert_rowid(connection_.get()); }
std::int64_t Database::changes() const { return sqlite3_changes64(connection_.get()); }

Result<void> Database::transaction(const std::function<Result<void>()>& body) {
  if (sqlite3_get_autocommit(connection_.get()) == 0) return body();
  TRY(execute("BEGIN IMMEDIATE"));
  auto result = body();
  if (result) result = execute("COMMIT");
  if (!result) static_cast<void>(execute("ROLLBACK"));
  return result;
}

}  // namespace berth::db
