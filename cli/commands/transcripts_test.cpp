// `germline transcript` and `logs --llm`, as people run them, over transcripts as a gateway writes
// them.
#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "cli/fake_control.hpp"
#include "worker/gateway/transcript.hpp"

namespace germline::cli {

namespace fs = std::filesystem;
using nlohmann::json;
using testing::fixture;
using testing::folder;
using testing::germline;
using testing::slurp;

namespace {

bool has(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

std::string request(const std::string& last) {
  return R"({"messages":[{"role":"user","content":"Look\u001b[2J."})" + last + "]}";
}

/// Two requests and one that was refused.
void record(const std::string& directory, const std::string& attempt) {
  auto file = worker::transcript::open(directory, attempt, 1 << 20, {});
  REQUIRE(file);
  worker::transcript_entry one;
  one.path = "/v1/messages";
  one.status = 200;
  one.outcome = "settled";
  one.tokens = {10, 4, 0, 0, 7};
  one.cost_nanousd = 1'500'000'000;
  one.request = std::make_shared<std::string>(request(""));
  one.response = R"({"role":"assistant","content":[{"type":"text","text":"I look."}]})";
  REQUIRE(file->append(one));
  one.request = std::make_shared<std::string>(
      request(R"(,{"role":"assistant","content":"I look."},{"role":"user","content":"Well?"})"));
  one.response = R"({"role":"assistant","content":[{"type":"text","text":"It is empty."}]})";
  REQUIRE(file->append(one));
  one.outcome = "refused";
  one.status = 400;
  one.tokens = {};
  one.cost_nanousd = 0;
  one.response = R"({"error":{"message":"no"}})";
  REQUIRE(file->append(one));
}

}  // namespace

TEST_CASE("transcript list has a row an attempt, of the state folder or of those that are named") {
  folder place;
  fs::create_directories(place.at("state/transcripts-2"));
  record(place.at("state/transcripts"), "att_0193aaaa");
  record(place.at("state/transcripts-2"), "att_0193bbbb");
  record(place.at("other"), "att_0193cccc");
  const auto list = germline(place, "transcript list --state-dir " + place.at("state"));
  CHECK(list.code == 0);
  CHECK(has(list.out, "att_0193aaaa"));
  CHECK(has(list.out, "att_0193bbbb"));
  CHECK(has(list.out, "$3"));
  CHECK_FALSE(has(list.out, "att_0193cccc"));
  const auto other = germline(place, "transcript list --json --directory " + place.at("other") +
                                         " --directory " + place.at("state/transcripts"));
  const auto all = json::parse(other.out)["transcripts"];
  REQUIRE(all.size() == 2);
  CHECK(all[1]["attempt_id"] == "att_0193cccc");
  CHECK(all[1]["requests"] == 2);
  CHECK(all[1]["refused"] == 1);
  CHECK(all[1]["input_tokens"] == 20);
  CHECK(all[1]["cached_tokens"] == 14);
  CHECK(all[1]["cost_nanousd"] == 3'000'000'000);
  CHECK(all[1]["complete"] == true);
}

TEST_CASE("transcript show tells of each request what is new, and takes a beginning or a file") {
  folder place;
  record(place.at("t"), "att_0193aaaa");
  record(place.at("t"), "att_0193bbbb");
  const std::string where = " --directory " + place.at("t");
  const auto shown = germline(place, "transcript show att_0193a" + where);
  CHECK(shown.code == 0);
  CHECK(has(shown.out, "user:\n    Look\\x1b[2J.\n  assistant:\n    I look.\n\n#2"));
  CHECK(has(shown.out, "$1.50\n  user:\n    Well?\n  assistant:\n    It is empty.\n"));
  CHECK(has(shown.out, "refused"));
  const auto second = germline(place, "transcript show att_0193a --request 2" + where);
  CHECK(second.out.starts_with("#2"));
  CHECK(has(second.out,
            "$1.50\n  user:\n    Look\\x1b[2J.\n  assistant:\n    I look.\n  user:\n    Well?\n"));
  CHECK_FALSE(has(second.out, "#3"));
  const auto exported = germline(place, "transcript export " + place.at("t/att_0193bbbb.jsonl"));
  CHECK(exported.code == 0);
  CHECK(std::count(exported.out.begin(), exported.out.end(), '\n') == 3);
  const auto line = json::parse(exported.out.substr(0, exported.out.find('\n')));
  CHECK(line["request"] == request(""));
  CHECK(line["attempt_id"] == "att_0193bbbb");
  CHECK(germline(place, "transcript show --json att_0193bbbb" + where).out == exported.out);
  // What was exported is read again.
  std::ofstream(place.at("again.jsonl")) << exported.out;
  CHECK(germline(place, "transcript show " + place.at("again.jsonl")).out ==
        germline(place, "transcript show att_0193bbbb" + where).out);
}

TEST_CASE("2 and 3: what was wrong with the name of a transcript is told") {
  folder place;
  record(place.at("t"), "att_0193aaaa");
  record(place.at("t"), "att_0193bbbb");
  const std::string where = " --directory " + place.at("t");
  const auto both = germline(place, "transcript show att_0193" + where);
  CHECK(both.code == 2);
  CHECK(has(both.err, "beginning of 2: att_0193aaaa, att_0193bbbb"));
  const auto none = germline(place, "transcript export att_7" + where);
  CHECK(none.code == 3);
  CHECK(has(none.err, "transcript list"));
  CHECK(germline(place, "transcript show att_0193a --request 9" + where).code == 3);
  CHECK(germline(place, "transcript show att_0193a --request 0" + where).code == 2);
  CHECK(germline(place, "transcript list --directory " + place.at("none")).code == 3);
  const auto nowhere = germline(place, "transcript list --state-dir " + place.at("none"));
  CHECK(nowhere.code == 3);
  CHECK(has(nowhere.err, "--directory"));
  for (const char* usage :
       {"transcript", "transcript show", "transcript prune", "transcript prune --older-than soon",
        "transcript list --directory ''", "logs x --llm -f", "logs x --directory /tmp"}) {
    CAPTURE(usage);
    CHECK(germline(place, usage).code == 2);
  }
}

TEST_CASE("a damaged transcript is shown as far as it is whole, and said to be damaged") {
  folder place;
  record(place.at("t"), "att_1");
  auto text = slurp(place.at("t/att_1.jsonl"));
  std::ofstream(place.at("t/att_1.jsonl")) << text << "broken\n";
  std::ofstream(place.at("t/att_2.jsonl")) << "nothing\n";
  const std::string where = " --directory " + place.at("t");
  const auto shown = germline(place, "transcript show att_1" + where);
  CHECK(shown.code == 1);
  CHECK(has(shown.out, "It is empty."));
  CHECK(has(shown.err, "1 damaged lines"));
  std::ofstream(place.at("t/att_1.jsonl")) << text << "{\"path\":";
  const auto torn = germline(place, "transcript export att_1" + where);
  CHECK(torn.code == 1);
  CHECK(std::count(torn.out.begin(), torn.out.end(), '\n') == 3);
  CHECK(has(torn.err, "cut off in its last line"));
  std::ofstream(place.at("t/att_1.jsonl")) << text << "broken\n";
  const auto list = germline(place, "transcript list" + where);
  CHECK(list.code == 1);
  CHECK(has(list.out, "att_1"));
  CHECK(has(list.err, "att_2.jsonl is no transcript"));
}

TEST_CASE("transcript show --request reads that one alone") {
  folder place;
  record(place.at("t"), "att_1");
  // The first request's own line is damaged.
  auto text = slurp(place.at("t/att_1.jsonl"));
  const auto at = text.find("\"path\"");
  std::ofstream(place.at("t/att_1.jsonl")) << text.replace(at, 6, "\"pat\"");
  const std::string where = " --directory " + place.at("t");
  CHECK(germline(place, "transcript show att_1" + where).code == 1);
  const auto second = germline(place, "transcript show att_1 --request 2" + where);
  CHECK(second.code == 0);
  CHECK(has(second.out, "It is empty."));
}

TEST_CASE(
    "transcript export has the marks of what is missing, and what was exported is incomplete") {
  folder place;
  record(place.at("t"), "att_0193c0de-0000-7000-8000-000000000001");
  const auto file = place.at("t/att_0193c0de-0000-7000-8000-000000000001.jsonl");
  const std::string marks = "{\"left_out\": \"refused\"}\n{\"lost\": 3}\n{\"cut\": true}\n";
  std::ofstream(file, std::ios::app) << marks;
  const auto exported = germline(place, "transcript export " + file);
  CHECK(exported.code == 0);
  CHECK(has(exported.out, "\"left_out\":\"refused\"}\n"));
  CHECK(has(exported.out, "\"lost\":3}\n"));
  CHECK(has(exported.out, "\"cut\":true}\n"));
  fs::create_directories(place.at("again"));
  std::ofstream(place.at("again/one.jsonl")) << exported.out;
  const auto list = germline(place, "transcript list --json --directory " + place.at("again"));
  const auto all = json::parse(list.out)["transcripts"];
  CHECK(all[0]["complete"] == false);
  CHECK(all[0]["damaged_lines"] == 0);
}

TEST_CASE("transcript prune leaves what a gateway writes to, and what none wrote") {
  folder place;
  const auto long_ago = fs::file_time_type::clock::now() - std::chrono::hours(48);
  const auto old = [&](const std::string& folder, const std::string& name) {
    record(place.at(folder), name);
    fs::last_write_time(place.at(folder + "/" + name + ".jsonl"), long_ago);
  };
  fs::create_directories(place.at("state"));
  old("state/transcripts", "att_old");
  old("state/transcripts-12", "att_old");
  old("state/transcripts", "mine");
  old("state/transcripts-saved", "att_old");
  old("state/transcripts", "att_open");
  const auto open =
      worker::transcript::open(place.at("state/transcripts"), "att_open", 1 << 20, {});
  REQUIRE(open);
  const auto pruned =
      germline(place, "transcript prune --json --older-than 1d --state-dir " + place.at("state"));
  CHECK(pruned.code == 0);
  CHECK(json::parse(pruned.out)["removed"].size() == 2);
  CHECK_FALSE(fs::exists(place.at("state/transcripts/att_old.jsonl")));
  CHECK_FALSE(fs::exists(place.at("state/transcripts-12/att_old.jsonl")));
  for (const char* kept :
       {"transcripts/mine", "transcripts-saved/att_old", "transcripts/att_open"}) {
    CAPTURE(kept);
    CHECK(fs::exists(place.at(std::string("state/") + kept + ".jsonl")));
  }
}

TEST_CASE("transcript prune removes what was not written to for so long, and nothing else") {
  folder place;
  record(place.at("t"), "att_old");
  record(place.at("t"), "att_new");
  std::ofstream(place.at("t/notes.txt")) << "mine";
  fs::create_symlink(place.at("t/notes.txt"), place.at("t/att_link.jsonl"));
  const auto long_ago = fs::file_time_type::clock::now() - std::chrono::hours(48);
  fs::last_write_time(place.at("t/att_old.jsonl"), long_ago);
  fs::last_write_time(place.at("t/notes.txt"), long_ago);
  const std::string where = " --directory " + place.at("t");
  const auto dry = germline(place, "transcript prune --older-than 1d --dry-run" + where);
  CHECK(dry.out == place.at("t/att_old.jsonl") + "\n");
  CHECK(has(dry.err, "1 of 2 transcripts"));
  CHECK(fs::exists(place.at("t/att_old.jsonl")));
  CHECK(germline(place, "transcript prune --older-than 1d" + where).code == 0);
  CHECK_FALSE(fs::exists(place.at("t/att_old.jsonl")));
  CHECK(fs::exists(place.at("t/att_new.jsonl")));
  CHECK(fs::exists(place.at("t/notes.txt")));
  CHECK(fs::is_symlink(place.at("t/att_link.jsonl")));
}

TEST_CASE("logs --llm shows what lies here, and says where the rest does") {
  fixture with;
  record(with.place.at("t"), "att_1");
  const std::string where = " --directory " + with.place.at("t");
  for (const char* target : {"itm_1", "gen_1"}) {
    const auto logs = with.run(std::string("logs --llm ") + target + where);
    CHECK(logs.code == 0);
    CHECK(has(logs.out, "attempt att_1\n\n#1"));
    CHECK(has(logs.out, "It is empty."));
    CHECK(has(logs.err, "1 of 2 attempts have no transcript on this machine"));
    CHECK(has(logs.err, "wrk_1"));
  }
  const auto one = with.run("logs --llm --json att_1" + where);
  CHECK(one.code == 0);
  CHECK(one.err.empty());
  CHECK(json::parse(one.out.substr(0, one.out.find('\n')))["attempt_id"] == "att_1");
  const auto none = with.run("logs --llm att_2" + where);
  CHECK(none.code == 3);
  CHECK(has(none.err, "wrk_1"));
  CHECK(none.err.find("--state-dir") == std::string::npos);
  const auto empty = with.run("logs --llm itm_1 --state-dir " + with.place.at("empty"));
  CHECK(empty.code == 3);
  CHECK(has(empty.err, "Looked for in " + with.place.at("empty") + ": name the state folder"));
}

}  // namespace germline::cli
