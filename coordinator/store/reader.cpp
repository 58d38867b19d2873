#include "coordinator/store/reader.hpp"

#include <array>

#include "coordinator/store/reader_impl.hpp"

namespace germline {
namespace {

using rows::not_found;
using rows::select_generation;
using rows::select_item;
using rows::select_lineage;
using rows::select_run;
using sql::bind_all;
using sql::integer;
using sql::text;

constexpr std::size_t ambiguous_most = 8;

/// The smallest text that is greater than every text that begins with `prefix`.
std::string upper_bound(std::string prefix) {
  prefix.push_back('\x7f');
  return prefix;
}

}  // namespace

record_reader::record_reader(std::unique_ptr<impl> opened) : impl_(std::move(opened)) {}
record_reader::~record_reader() = default;

result<std::unique_ptr<record_reader>> record_reader::open(const std::string& path) {
  return sql::guarded([&]() -> result<std::unique_ptr<record_reader>> {
    return std::unique_ptr<record_reader>(new record_reader(std::make_unique<impl>(path)));
  });
}

result<resolved_target> record_reader::resolve(const std::string& given) {
  using kind = resolved_target::kind;
  struct table {
    kind what;
    const char* query;
  };
  static constexpr std::array tables = {
      table{kind::run,
            "SELECT id, id FROM runs WHERE (id>=?1 AND id<?2) OR name=?1"
            " ORDER BY created_ms DESC, id DESC LIMIT ?3"},
      table{kind::lineage, "SELECT id, run_id FROM lineages WHERE id>=?1 AND id<?2 LIMIT ?3"},
      table{kind::generation, "SELECT id, run_id FROM generations WHERE id>=?1 AND id<?2 LIMIT ?3"},
      table{kind::item, "SELECT id, run_id FROM items WHERE id>=?1 AND id<?2 LIMIT ?3"},
      table{kind::attempt,
            "SELECT a.id, i.run_id FROM attempts a JOIN items i ON i.id=a.item_id"
            " WHERE a.id>=?1 AND a.id<?2 LIMIT ?3"},
  };
  if (given.empty()) return error(error_code::invalid_argument, "no id or name was given");
  return impl_->locked([&]() -> result<resolved_target> {
    std::vector<resolved_target> found;
    // A name that is said in full is not a beginning of ids.
    SQLite::Statement named(impl_->db, "SELECT id FROM runs WHERE name=?1 LIMIT 2");
    bind_all(named, given);
    while (named.executeStep()) found.push_back({kind::run, text(named, 0), text(named, 0)});
    if (found.size() == 1) return found.front();
    found.clear();
    for (const auto& each : tables) {
      SQLite::Statement row(impl_->db, each.query);
      bind_all(row, given, upper_bound(given), ambiguous_most + 1);
      while (row.executeStep()) found.push_back({each.what, text(row, 0), text(row, 1)});
    }
    if (found.empty()) return not_found(given);
    if (found.size() == 1) return found.front();
    std::string several = "'" + given + "' fits several; name one of them by its id:";
    for (std::size_t i = 0; i < found.size() && i < ambiguous_most; ++i) {
      several += "\n  " + found[i].id + impl_->told(found[i]);
    }
    if (found.size() > ambiguous_most) several += "\n  and more";
    return error(error_code::invalid_argument, several);
  });
}

result<std::string> record_reader::newest_run() {
  return impl_->locked([&]() -> result<std::string> {
    SQLite::Statement row(impl_->db, "SELECT id FROM runs ORDER BY created_ms DESC, id DESC");
    if (!row.executeStep()) return error(error_code::not_found, "there is no run yet");
    return text(row, 0);
  });
}

result<std::vector<v1::RunInfo>> record_reader::runs() {
  return impl_->locked([&]() -> result<std::vector<v1::RunInfo>> {
    SQLite::Statement row(impl_->db, std::string(select_run) + " ORDER BY created_ms, id");
    std::vector<v1::RunInfo> out;
    while (row.executeStep()) out.push_back(impl_->read_run(row));
    return out;
  });
}

result<v1::RunInfo> record_reader::run(const std::string& id) {
  return impl_->locked([&]() -> result<v1::RunInfo> {
    SQLite::Statement row(impl_->db, std::string(select_run) + " WHERE id=?");
    bind_all(row, id);
    if (!row.executeStep()) return not_found(id);
    return impl_->read_run(row);
  });
}

result<std::vector<v1::LineageInfo>> record_reader::lineages(const std::string& run) {
  return impl_->locked(
      [&]() -> result<std::vector<v1::LineageInfo>> { return impl_->lineages_of(run); });
}

result<v1::LineageInfo> record_reader::lineage(const std::string& id) {
  return impl_->locked([&]() -> result<v1::LineageInfo> {
    SQLite::Statement row(impl_->db, std::string(select_lineage) + " WHERE id=?");
    bind_all(row, id);
    if (!row.executeStep()) return not_found(id);
    return impl_->read_lineage(row);
  });
}

result<std::vector<v1::GenerationInfo>> record_reader::generations(const std::string& run) {
  return impl_->locked([&]() -> result<std::vector<v1::GenerationInfo>> {
    SQLite::Statement row(impl_->db,
                          std::string(select_generation) + " WHERE g.run_id=? ORDER BY g.id");
    bind_all(row, run);
    std::vector<v1::GenerationInfo> out;
    const auto fitness = impl_->fitness_where("i.run_id = ?", run);
    while (row.executeStep()) {
      out.push_back(impl::read_generation(row));
      const auto& same = out.back().same_as();
      const auto its = fitness.find(same.empty() ? out.back().generation_id() : same);
      if (its != fitness.end()) *out.back().mutable_fitness() = its->second;
    }
    return out;
  });
}

result<v1::GenerationInfo> record_reader::generation(const std::string& id) {
  return impl_->locked([&]() -> result<v1::GenerationInfo> {
    SQLite::Statement row(impl_->db, std::string(select_generation) + " WHERE g.id=?");
    bind_all(row, id);
    if (!row.executeStep()) return not_found(id);
    auto info = impl::read_generation(row);
    auto fitness = impl_->fitness_where("i.parent_generation = ?",
                                        info.same_as().empty() ? id : info.same_as());
    if (!fitness.empty()) *info.mutable_fitness() = std::move(fitness.begin()->second);
    return info;
  });
}

result<std::vector<v1::IterationInfo>> record_reader::iterations(const std::string& run) {
  return impl_->locked(
      [&]() -> result<std::vector<v1::IterationInfo>> { return impl_->iterations_of(run); });
}

result<std::vector<v1::IterationInfo>> record_reader::evaluations(const std::string& run) {
  return impl_->locked([&]() -> result<std::vector<v1::IterationInfo>> {
    return impl_->items_where("run_id=? AND kind = 3", run);
  });
}

result<std::vector<v1::IterationInfo>> record_reader::evaluations_of(
    const std::string& generation) {
  return impl_->locked([&]() -> result<std::vector<v1::IterationInfo>> {
    return impl_->items_where("parent_generation=? AND kind = 3", generation);
  });
}

result<v1::IterationInfo> record_reader::iteration(const std::string& id) {
  return impl_->locked([&]() -> result<v1::IterationInfo> {
    SQLite::Statement row(impl_->db, std::string(select_item) + " WHERE id=?");
    bind_all(row, id);
    if (!row.executeStep()) return not_found(id);
    auto info = impl_->read_item(row);
    if (info.has_choice()) {
      info.mutable_choice()->set_measured_since(impl_->measured_during(info));
    }
    for (auto& each : impl_->inspirations_of(id)) *info.add_inspirations() = std::move(each);
    for (auto& each : impl_->arms_of(id)) *info.add_arms() = std::move(each);
    return info;
  });
}

result<std::vector<v1::RollbackInfo>> record_reader::rollbacks(const std::string& run) {
  return impl_->locked([&]() -> result<std::vector<v1::RollbackInfo>> {
    SQLite::Statement row(impl_->db,
                          "SELECT c.lineage_id, c.rolled_to, g.number, c.details, c.at_ms,"
                          " c.item_id FROM lineage_changes c JOIN generations g ON"
                          " g.id = c.rolled_to WHERE g.run_id=? ORDER BY c.seq");
    bind_all(row, run);
    std::vector<v1::RollbackInfo> out;
    while (row.executeStep()) {
      auto& info = out.emplace_back();
      info.set_lineage_id(text(row, 0));
      info.set_generation_id(text(row, 1));
      info.set_number(integer(row, 2));
      info.set_why(text(row, 3));
      info.set_time_ms(integer(row, 4));
      info.set_after_iteration(text(row, 5));
    }
    return out;
  });
}

result<worker_needs> record_reader::needs_of(const std::string& run) {
  return impl_->locked([&]() -> result<worker_needs> { return impl_->needs_of(run); });
}

result<genome_place> record_reader::genome_of(const std::string& run) {
  return impl_->locked([&]() -> result<genome_place> {
    SQLite::Statement row(impl_->db, "SELECT folder, genome_toml FROM runs WHERE id=?");
    bind_all(row, run);
    if (!row.executeStep()) return not_found(run);
    return genome_place{text(row, 0), text(row, 1)};
  });
}

result<std::string> record_reader::item_of_attempt(const std::string& attempt) {
  return impl_->locked([&]() -> result<std::string> {
    SQLite::Statement row(impl_->db, "SELECT item_id FROM attempts WHERE id=?");
    bind_all(row, attempt);
    if (!row.executeStep()) return not_found(attempt);
    return text(row, 0);
  });
}

result<std::int64_t> record_reader::version() {
  return impl_->locked([&]() -> result<std::int64_t> {
    SQLite::Statement row(impl_->db, "PRAGMA data_version");
    row.executeStep();
    return integer(row, 0);
  });
}

result<watched_part> record_reader::watched(const resolved_target& target, std::int64_t last_event,
                                            std::int64_t last_change, int limit) {
  return impl_->locked([&]() -> result<watched_part> {
    const SQLite::Transaction one_moment(impl_->db);
    watched_part out;
    out.needs = impl_->needs_of(target.run);
    out.lineages = impl_->lineages_of(target.run);
    out.iterations = impl_->target_evaluation(target);
    if (out.iterations.empty()) {
      out.iterations = impl_->iterations_of(target.run);
      out.evaluations = impl_->items_where("run_id=? AND kind = 3", target.run);
    }
    out.changes = impl_->changes_of(target, last_change);
    out.events = impl_->events_of(target, last_event, limit);
    return out;
  });
}

result<std::string> record_reader::seed_of(const std::string& run) {
  return impl_->locked([&]() -> result<std::string> {
    SQLite::Statement row(impl_->db,
                          "SELECT id FROM generations WHERE run_id=? AND lineage_id IS NULL");
    bind_all(row, run);
    if (!row.executeStep()) return not_found("a founded seed of " + run);
    return text(row, 0);
  });
}

result<std::vector<std::string>> record_reader::artefacts() {
  return impl_->locked([&]() -> result<std::vector<std::string>> {
    SQLite::Statement row(impl_->db,
                          "SELECT artefact_id FROM generations UNION ALL SELECT held_out_id FROM"
                          " runs WHERE held_out_id <> ''");
    std::vector<std::string> out;
    while (row.executeStep()) out.push_back(text(row, 0));
    return out;
  });
}

result<bool> record_reader::may_fetch(const std::string& artefact, const std::string& worker) {
  return impl_->locked([&]() -> result<bool> {
    SQLite::Statement row(
        impl_->db,
        "SELECT NOT EXISTS (SELECT 1 FROM runs WHERE held_out_id = ?1) OR EXISTS (SELECT 1 FROM"
        " attempts a JOIN items i ON i.id = a.item_id JOIN runs r ON r.id = i.run_id WHERE"
        " a.worker_id = ?2 AND a.state = 1 AND i.kind = 3 AND i.ending = 0 AND"
        // What a generation has is every worker's, and nobody's secret.
        " r.held_out_id = ?1) OR EXISTS (SELECT 1 FROM generations WHERE artefact_id = ?1)");
    bind_all(row, artefact, worker);
    row.executeStep();
    return integer(row, 0) != 0;
  });
}

result<bool> record_reader::is_leased(const std::string& attempt) {
  return impl_->locked([&]() -> result<bool> {
    SQLite::Statement row(impl_->db,
                          "SELECT 1 FROM attempts a JOIN items i ON i.id = a.item_id WHERE a.id=?"
                          " AND a.fence=i.fence AND a.state=1 AND i.ending=0");
    bind_all(row, attempt);
    return row.executeStep();
  });
}

result<bool> record_reader::holds_fence(const std::string& attempt, std::int64_t fence,
                                        const std::string& worker) {
  return impl_->locked([&]() -> result<bool> {
    SQLite::Statement row(impl_->db,
                          "SELECT 1 FROM attempts a JOIN items i ON i.id = a.item_id WHERE a.id=?"
                          " AND a.fence=? AND i.fence=? AND a.state=1 AND a.worker_id=?");
    bind_all(row, attempt, fence, fence, worker);
    return row.executeStep();
  });
}

}  // namespace germline
