// schema: the tables of the coordinator's record in SQLite, as numbered migrations. Owns nothing.
// Called by the store when it opens; one thread.
#pragma once

#include "common/result.hpp"

namespace SQLite {
class Database;
}

namespace germline {

/// The version that this build reads and writes (SQLite's user_version).
int schema_version();

/// Brings `db` to schema_version(), each step in a transaction of its own. Refuses a record that
/// a newer build has written. May throw SQLite::Exception.
result<void> migrate(SQLite::Database& db);

}  // namespace germline
