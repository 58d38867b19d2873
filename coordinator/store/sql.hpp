// sql: the few helpers that store and reader share over SQLiteCpp. Internal to coordinator/store.
#pragma once

#include <SQLiteCpp/Database.h>
#include <SQLiteCpp/Exception.h>
#include <SQLiteCpp/Statement.h>
#include <SQLiteCpp/Transaction.h>
#include <sqlite3.h>

#include <algorithm>
#include <array>
#include <sstream>
#include <string>
#include <type_traits>
#include <vector>

#include "common/result.hpp"
#include "germline/v1/types.pb.h"

namespace germline::sql {

/// `unavailable`: it is the disk, or something else that may pass; the same may succeed later.
inline error to_error(const SQLite::Exception& failure) {
  constexpr std::array passing{SQLITE_FULL, SQLITE_IOERR,  SQLITE_CANTOPEN, SQLITE_READONLY,
                               SQLITE_BUSY, SQLITE_LOCKED, SQLITE_NOMEM,    SQLITE_PROTOCOL};
  const int primary = failure.getErrorCode() & 0xff;
  const bool may_pass = std::find(passing.begin(), passing.end(), primary) != passing.end();
  return {may_pass ? error_code::unavailable : error_code::internal,
          std::string("record: ") + failure.what()};
}

/// Runs `work`; an exception of SQLite becomes an error.
template <class Work>
std::invoke_result_t<Work> guarded(Work&& work) {
  try {
    return work();
  } catch (const SQLite::Exception& failure) {
    return to_error(failure);
  }
}

/// Of a row `i` of items: it was to measure again what was measured already, and ended by no doing
/// of the candidate's. It is told, and counts nowhere.
inline const std::string says_nothing =
    "(i.asked_by <> '' AND (i.ending = 5 OR (i.ending = 4 AND i.reason IN"
    " ('attempts_lost', 'budget', 'worker'))))";

/// Whether the item `i` is an iteration that has ended by itself. What was killed was not done, nor
/// what no worker kept.
inline const std::string was_done =
    "(i.kind = 2 AND i.ending IN (1, 2, 3, 4) AND NOT (i.ending = 4 AND i.reason ="
    " 'attempts_lost'))";

/// Whether the lineage of `row`, an item or a generation, was killed before that time.
inline std::string was_killed_before(const std::string& row, const std::string& ms) {
  return "EXISTS (SELECT 1 FROM lineage_changes k WHERE k.lineage_id = " + row +
         ".lineage_id AND k.state = 3 AND k.rule = '' AND k.at_ms < " + ms + ")";
}

inline void bind_one(SQLite::Statement& s, int i, const std::string& v) {
  s.bind(i, v);
}
inline void bind_one(SQLite::Statement& s, int i, const char* v) {
  s.bind(i, std::string(v));
}
template <class Int>
  requires(std::is_integral_v<Int> || std::is_enum_v<Int>)
void bind_one(SQLite::Statement& s, int i, Int v) {
  s.bind(i, static_cast<std::int64_t>(v));
}
inline void bind_one(SQLite::Statement& s, int i, double v) {
  s.bind(i, v);
}
/// NULL where there is none.
template <class Value>
void bind_one(SQLite::Statement& s, int i, const std::optional<Value>& v) {
  if (v) {
    bind_one(s, i, *v);
  } else {
    s.bind(i);
  }
}
/// Binary bytes, e.g. a serialized message.
struct blob {
  std::string bytes;
};
inline void bind_one(SQLite::Statement& s, int i, const blob& v) {
  s.bind(i, static_cast<const void*>(v.bytes.data()), static_cast<int>(v.bytes.size()));
}
/// Text, or NULL where it is empty.
struct nullable {
  std::string text;
};
inline void bind_one(SQLite::Statement& s, int i, const nullable& v) {
  if (v.text.empty()) {
    s.bind(i);
  } else {
    s.bind(i, v.text);
  }
}

template <class... Args>
void bind_all(SQLite::Statement& statement, const Args&... args) {
  int index = 0;
  (bind_one(statement, ++index, args), ...);
}

/// Runs a statement that returns no rows; returns how many rows it changed.
template <class... Args>
int exec(SQLite::Database& db, const char* text, const Args&... args) {
  SQLite::Statement statement(db, text);
  bind_all(statement, args...);
  return statement.exec();
}

inline std::string text(SQLite::Statement& row, int i) {
  return row.getColumn(i).getString();
}
/// Text that has one thing a line, such as tags.
inline std::vector<std::string> lines(const std::string& whole) {
  std::vector<std::string> out;
  std::istringstream in(whole);
  for (std::string line; std::getline(in, line);) out.push_back(line);
  return out;
}
inline std::int64_t integer(SQLite::Statement& row, int i) {
  return row.getColumn(i).getInt64();
}
inline std::string bytes(SQLite::Statement& row, int i) {
  const auto column = row.getColumn(i);
  const auto size = static_cast<std::size_t>(column.getBytes());
  return size == 0 ? std::string() : std::string(static_cast<const char*>(column.getBlob()), size);
}
/// Five columns of inspirations: generation_id, commit_id, samples, mean, base_commit.
inline v1::Inspiration read_inspiration(SQLite::Statement& row) {
  v1::Inspiration out;
  out.set_generation_id(text(row, 0));
  out.set_commit(text(row, 1));
  out.set_samples(static_cast<std::int32_t>(integer(row, 2)));
  out.set_mean(row.getColumn(3).getDouble());
  out.set_base(text(row, 4));
  return out;
}

}  // namespace germline::sql
