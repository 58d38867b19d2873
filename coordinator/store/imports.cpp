// The part of the store that hands out a run's imports, generations of other archives: each to one
// iteration, and to another where that was killed.
#include "coordinator/store/store_impl.hpp"

namespace germline {

using sql::bind_all;
using sql::exec;
using sql::integer;
using sql::text;

namespace {

constexpr const char* is_free =
    "(item_id = '' OR EXISTS (SELECT 1 FROM items i WHERE i.id = imports.item_id AND"
    " i.ending = 5))";

}  // namespace

void write_imports(SQLite::Database& db, const records::new_run& run) {
  int position = 0;
  for (const auto& each : run.imports) {
    exec(db, "INSERT INTO imports (run_id, position, origin, commit_id) VALUES (?,?,?,?)",
         run.id.str(), ++position, each.origin.str(), each.commit);
  }
}

std::optional<records::given_source> next_import(SQLite::Database& db, const std::string& run) {
  SQLite::Statement row(db, std::string("SELECT position, origin, commit_id FROM imports WHERE"
                                        " run_id=? AND ") +
                                is_free + " ORDER BY position LIMIT 1");
  bind_all(row, run);
  if (!row.executeStep()) return std::nullopt;
  const auto origin = generation_id::parse(text(row, 1));
  if (!origin) return std::nullopt;
  return records::given_source{static_cast<int>(integer(row, 0)), {*origin, text(row, 2)}};
}

bool take_import(SQLite::Database& db, const std::string& run, const records::given_source& given,
                 const std::string& item) {
  static const auto words = std::string(
                                "UPDATE imports SET item_id=?, given_commit=? WHERE"
                                " run_id=? AND position=? AND ") +
                            is_free;
  return exec(db, words.c_str(), item, given.commit, run, given.position) == 1;
}

void add_given(SQLite::Database& db, v1::Lease& lease) {
  SQLite::Statement row(
      db, "SELECT given_commit, origin FROM imports WHERE item_id=? AND item_id <> ''");
  bind_all(row, lease.item_id());
  if (!row.executeStep()) return;
  lease.set_given_commit(text(row, 0));
  lease.set_given_origin(text(row, 1));
}

}  // namespace germline
