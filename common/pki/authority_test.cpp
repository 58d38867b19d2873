#include "common/pki/authority.hpp"

#include <doctest/doctest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <thread>

namespace germline::pki {
namespace {

namespace fs = std::filesystem;

struct place {
  std::string root;
  place() {
    std::string name = fs::temp_directory_path().string() + "/germline-pki-XXXXXX";
    REQUIRE(::mkdtemp(name.data()) != nullptr);
    root = name;
  }
  ~place() {
    std::error_code ignored;
    fs::remove_all(root, ignored);
  }
  std::string pki() const { return root + "/a/pki"; }
};

std::string request() {
  return *private_key::generate()->make_request();
}

TEST_CASE("a new authority serves at once, and only its owner can read its keys") {
  const place at;
  const manual_clock time;
  const auto made = authority::make(at.pki(), time);
  REQUIRE(made);
  const auto server = read_credentials((*made)->server_folder());
  REQUIRE(server);
  CHECK(server->facts.whose.who == role::coordinator);
  for (const auto* file : {"/ca.key", "/token.key", "/server/tls.key", "/certificates.jsonl"}) {
    CAPTURE(file);
    struct stat found {};
    REQUIRE(::stat((at.pki() + file).c_str(), &found) == 0);
    CHECK((found.st_mode & 0777) == 0600);
  }
  CHECK(authority::make(at.pki(), time).error().code() == error_code::already_exists);
  CHECK(authority::open(at.pki(), time));
  CHECK(authority::open(at.root, time).error().code() == error_code::not_found);
}

TEST_CASE("a token brings one worker in, and the second is told that it was used") {
  const place at;
  const manual_clock time;
  const auto home = std::move(*authority::make(at.pki(), time));
  const auto token = home->make_token(role::worker, "", false, 3'600'000);
  REQUIRE(token);
  CHECK(read_token(*token)->ca_fingerprint == *fingerprint(*home->ca_pem()));
  const auto first = home->redeem(*token, request());
  REQUIRE(first);
  CHECK(first->whose.name.starts_with("wrk_"));
  CHECK(read_certificate(first->certificate_pem)->whose.name == first->whose.name);
  const auto second = home->redeem(*token, request());
  REQUIRE_FALSE(second);
  CHECK(second.error().code() == error_code::permission_denied);
  // Nor by another process, which has the same folder.
  CHECK_FALSE(std::move(*authority::open(at.pki(), time))->redeem(*token, request()));
}

TEST_CASE("a token of which the log knows nothing lets nobody in") {
  const place at;
  const manual_clock time;
  const auto home = std::move(*authority::make(at.pki(), time));
  const auto token = *home->make_token(role::worker, "", false, 3'600'000);
  REQUIRE(home->redeem(token, request()));
  std::filesystem::resize_file(at.pki() + "/certificates.jsonl", 0);
  const auto again = std::move(*authority::open(at.pki(), time))->redeem(token, request());
  REQUIRE_FALSE(again);
  CHECK(again.error().message().find("no record") != std::string::npos);
}

TEST_CASE("of many that redeem one token at the same time one gets in") {
  const place at;
  const system_clock_source time;
  const auto home = std::move(*authority::make(at.pki(), time));
  const auto other = std::move(*authority::open(at.pki(), time));
  const auto token = *home->make_token(role::worker, "", false, 3'600'000);
  std::atomic<int> in{0};
  std::vector<std::thread> callers;
  for (int i = 0; i < 8; ++i) {
    callers.emplace_back([&, i] {
      if ((i % 2 == 0 ? home : other)->redeem(token, request())) ++in;
    });
  }
  for (auto& caller : callers) caller.join();
  CHECK(in == 1);
}

TEST_CASE("a reusable token brings many in, each with a name of its own, until it is over") {
  const place at;
  manual_clock time;
  const auto home = std::move(*authority::make(at.pki(), time));
  const auto token = *home->make_token(role::worker, "", true, 60'000);
  const auto one = home->redeem(token, request());
  const auto two = home->redeem(token, request());
  REQUIRE(one);
  REQUIRE(two);
  CHECK(one->whose.name != two->whose.name);
  time.advance(61'000);
  CHECK_FALSE(home->redeem(token, request()));
}

TEST_CASE("a token that is revoked lets nobody in any more, by its text or by its id") {
  const place at;
  const manual_clock time;
  const auto home = std::move(*authority::make(at.pki(), time));
  const auto running = std::move(*authority::open(at.pki(), time));
  for (const bool by_id : {false, true}) {
    CAPTURE(by_id);
    const auto token = *home->make_token(role::worker, "", true, 60'000);
    const auto id = read_token(token)->id;
    const auto before = running->redeem(token, request());
    REQUIRE(before);
    CHECK(*home->revoke_token(by_id ? id : token, "leaked\nout") == id);
    const auto after = running->redeem(token, request());
    REQUIRE_FALSE(after);
    CHECK(after.error().code() == error_code::permission_denied);
    CHECK(after.error().message().find("revoked") != std::string::npos);
    CHECK_FALSE(*running->is_revoked(read_certificate(before->certificate_pem)->serial));
    CHECK(running->tokens()->back().revoked_ms != 0);
  }
  CHECK(home->revoke_token("0011223344556677", "").error().code() == error_code::not_found);
  const auto foreign = std::move(*authority::make(at.root + "/b", time));
  CHECK_FALSE(home->revoke_token(*foreign->make_token(role::worker, "", true, 60'000), ""));
}

TEST_CASE("tokens that make no sense are not made") {
  const place at;
  const manual_clock time;
  const auto home = std::move(*authority::make(at.pki(), time));
  CHECK_FALSE(home->make_token(role::person, "", false, 60'000));
  CHECK_FALSE(home->make_token(role::person, "ann", true, 60'000));
  CHECK_FALSE(home->make_token(role::worker, "mine", false, 60'000));
  CHECK_FALSE(home->make_token(role::coordinator, "", false, 60'000));
  CHECK_FALSE(home->make_token(role::worker, "", false, 0));
  CHECK_FALSE(home->make_token(role::worker, "", false, max_token_ms + 1));
}

TEST_CASE("what is revoked stays so, by name or by serial") {
  const place at;
  const manual_clock time;
  const auto home = std::move(*authority::make(at.pki(), time));
  const auto running = std::move(*authority::open(at.pki(), time));
  const auto issued = home->issue({role::person, "ann"}, 0);
  REQUIRE(issued);
  const auto serial = read_certificate(issued->certificate_pem)->serial;
  CHECK_FALSE(*running->is_revoked(serial));
  const auto revoked = home->revoke("ann", "left\nus");
  REQUIRE(revoked);
  CHECK(revoked->size() == 1);
  CHECK(*running->is_revoked(serial));
  CHECK(home->revoke("ann", "").error().code() == error_code::not_found);
  const auto again = home->issue({role::person, "ann"}, 0);
  CHECK_FALSE(*running->is_revoked(read_certificate(again->certificate_pem)->serial));
}

TEST_CASE("a line that a crash cut off is passed over, and damage is not") {
  const place at;
  const manual_clock time;
  const auto home = std::move(*authority::make(at.pki(), time));
  const auto log = at.pki() + "/certificates.jsonl";
  std::ofstream(log, std::ios::app) << R"({"event":"issued","serial":"12)";
  REQUIRE(home->issue({role::person, "ann"}, 0));
  CHECK(std::move(*authority::open(at.pki(), time))->certificates()->size() == 2);
  std::ofstream(log, std::ios::app) << "{\"event\":\"nonsense\"}\n";
  CHECK_FALSE(home->is_revoked("00"));
}

TEST_CASE("a rotation lets both authorities be believed until it is finished") {
  const place at;
  const manual_clock time;
  const auto home = std::move(*authority::make(at.pki(), time));
  const auto former = *fingerprint(*home->ca_pem());
  const auto token = *home->make_token(role::worker, "", false, 3'600'000);
  const auto worker = home->redeem(token, request())->whose;
  REQUIRE(home->begin_rotation(0));
  CHECK(*home->is_rotating());
  CHECK_FALSE(home->begin_rotation(0));
  // Who joins now dials a coordinator whose certificate is still the former one's.
  CHECK(read_token(*home->make_token(role::worker, "", false, 60'000))->ca_fingerprint == former);
  const auto bundle = *home->ca_pem();
  CHECK(*fingerprint(bundle) != former);
  CHECK(read_credentials(home->server_folder())->files.ca_pem == bundle);
  const auto early = home->finish_rotation(false);
  REQUIRE_FALSE(early);
  CHECK(early.error().message().find(worker.name) != std::string::npos);
  REQUIRE(home->renew(worker, request()));
  REQUIRE(home->finish_rotation(false));
  CHECK_FALSE(*home->is_rotating());
  CHECK(home->ca_pem()->size() < bundle.size());
  CHECK(read_token(*home->make_token(role::worker, "", false, 60'000))->ca_fingerprint != former);
  CHECK(read_credentials(home->server_folder()));
  CHECK_FALSE(home->finish_rotation(false));
}

TEST_CASE("who is left behind on purpose is") {
  const place at;
  const manual_clock time;
  const auto home = std::move(*authority::make(at.pki(), time));
  REQUIRE(home->issue({role::person, "ann"}, 0));
  REQUIRE(home->begin_rotation(0));
  CHECK_FALSE(home->finish_rotation(false));
  CHECK(home->finish_rotation(true));
  // Nor is the next rotation to wait for them.
  REQUIRE(home->begin_rotation(0));
  CHECK(home->finish_rotation(false));
}

TEST_CASE("the keys that are believed are those of the present authority, and both in between") {
  const place at;
  const manual_clock time;
  const auto home = std::move(*authority::make(at.pki(), time));
  const auto before = read_certificate(home->issue({role::person, "ann"}, 0)->certificate_pem);
  CHECK(*home->believed_keys() == std::set{before->issuer_key});
  CHECK(*home->has_issued(*before));
  auto other = *before;
  other.serial = "01";
  CHECK_FALSE(*home->has_issued(other));
  other = *before;
  other.whose.name = "bob";
  CHECK_FALSE(*home->has_issued(other));
  REQUIRE(home->begin_rotation(0));
  const auto after = read_certificate(home->issue({role::person, "ann"}, 0)->certificate_pem);
  CHECK(*home->believed_keys() == std::set{before->issuer_key, after->issuer_key});
  REQUIRE(home->finish_rotation(false));
  CHECK(*home->believed_keys() == std::set{after->issuer_key});
}

TEST_CASE("a crash between the two files of a rotation does no harm") {
  const place at;
  const manual_clock time;
  const auto home = std::move(*authority::make(at.pki(), time));
  const auto key = *read_file(at.pki() + "/ca.key");
  REQUIRE(home->begin_rotation(0));
  REQUIRE(write_file(at.pki() + "/ca.key", key, 0600));  // as if it had not been written yet
  const auto after = authority::open(at.pki(), time);
  REQUIRE(after);
  CHECK_FALSE(*(*after)->is_rotating());
  CHECK((*after)->issue({role::person, "ann"}, 0));
  CHECK((*after)->begin_rotation(0));
}

/// What stands in the way of one file's writing, as a full disk does.
struct obstacle {
  std::string path;
  explicit obstacle(const std::string& file) : path(file + ".new") {
    fs::create_directories(path + "/x");
  }
  ~obstacle() { fs::remove_all(path); }
};

TEST_CASE("a rotation that is cut short locks nobody out, and is taken up again") {
  const std::array files{"/ca.key.next", "/ca.crt", "/server/ca.crt"};
  for (const std::string file : files) {
    CAPTURE(file);
    const place at;
    const manual_clock time;
    const auto home = std::move(*authority::make(at.pki(), time));
    {
      const obstacle full(at.pki() + file);
      CHECK_FALSE(home->begin_rotation(0));
    }
    // What is signed now is signed with a key that the coordinator believes.
    const auto early = home->issue({role::person, "ann"}, 0);
    REQUIRE(early);
    const auto shared = *key_ids_of(read_credentials(home->server_folder())->files.ca_pem);
    CHECK(shared.contains(read_certificate(early->certificate_pem)->issuer_key));
    CHECK_FALSE(*home->is_rotating());
    CHECK_FALSE(home->finish_rotation(true));
    REQUIRE(home->begin_rotation(0));
    CHECK(*home->is_rotating());
    CHECK(split_bundle(*home->ca_pem()).size() == 2);
    CHECK_FALSE(fs::exists(at.pki() + "/ca.key.next"));
    // Who looked in between sees that there is something new to fetch.
    CHECK(*home->ca_pem() != early->ca_pem);
    REQUIRE(home->issue({role::person, "ann"}, 0));
    CHECK(home->finish_rotation(false));
  }
}

TEST_CASE("the next key is believed for a while before it signs") {
  const place at;
  const manual_clock time;
  const auto home = std::move(*authority::make(at.pki(), time));
  const auto running = std::move(*authority::open(at.pki(), time));
  std::thread rotating([&] { CHECK(home->begin_rotation(700)); });
  const auto began = std::chrono::steady_clock::now();
  while (running->believed_keys()->size() == 1 &&
         std::chrono::steady_clock::now() - began < std::chrono::seconds(10)) {
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  const auto announced = std::chrono::steady_clock::now();
  CHECK(split_bundle(*running->ca_pem()).size() == 2);
  const auto former = *fingerprint(*running->ca_pem());
  rotating.join();
  CHECK(std::chrono::steady_clock::now() - announced > std::chrono::milliseconds(500));
  CHECK(*fingerprint(*running->ca_pem()) != former);
}

TEST_CASE("what is served with comes to believe whom the authority believes") {
  const place at;
  const manual_clock time;
  const auto home = std::move(*authority::make(at.pki(), time));
  const auto file = home->server_folder() + "/ca.crt";
  const auto former = *read_file(file);
  REQUIRE(home->begin_rotation(0));
  const auto both = *read_file(file);
  // As an earlier version left it behind where it was cut short.
  REQUIRE(write_file(file, former, 0644));
  CHECK(home->begin_rotation(0));
  CHECK(*read_file(file) == both);
  CHECK_FALSE(home->begin_rotation(0));
  REQUIRE(write_file(file, former, 0644));
  CHECK(home->keep_server_certificate());
  CHECK(*read_file(file) == both);
}

TEST_CASE("the end of a rotation that is cut short is not told as done, and can be had again") {
  for (const std::string file : {"/ca.crt", "/server/ca.crt", "/server/tls.crt"}) {
    CAPTURE(file);
    const place at;
    const manual_clock time;
    const auto home = std::move(*authority::make(at.pki(), time));
    REQUIRE(home->begin_rotation(0));
    {
      const obstacle full(at.pki() + file);
      CHECK_FALSE(home->finish_rotation(false));
    }
    // Whoever believes what is handed out now believes the coordinator.
    const auto server = read_credentials(home->server_folder());
    REQUIRE(server);
    CHECK(key_ids_of(*home->ca_pem())->contains(server->facts.issuer_key));
    CHECK(*home->is_rotating());
    CHECK(home->finish_rotation(false));
    CHECK_FALSE(*home->is_rotating());
    CHECK(home->believed_keys()->size() == 1);
  }
}

TEST_CASE("an authority whose founding was cut short is founded by trying again") {
  for (const std::string file : {"/token.key", "/certificates.jsonl", "/ca.crt", "/server/ca.crt",
                                 "/server/tls.crt", "/server/tls.key", "/ca.key"}) {
    CAPTURE(file);
    const place at;
    const manual_clock time;
    {
      const obstacle full(at.pki() + file);
      CHECK_FALSE(authority::make(at.pki(), time));
    }
    CHECK(authority::open(at.pki(), time).error().code() == error_code::not_found);
    const auto made = authority::make(at.pki(), time);
    REQUIRE(made);
    CHECK((*made)->make_token(role::worker, "", false, 60'000));
    CHECK((*made)->certificates()->size() == 1);
  }
}

TEST_CASE("an authority without the coordinator's certificate gets one") {
  const place at;
  const manual_clock time;
  const auto home = std::move(*authority::make(at.pki(), time));
  fs::remove_all(home->server_folder());
  CHECK(authority::make(at.pki(), time));
  CHECK(read_credentials(home->server_folder()));
  fs::remove(home->server_folder() + "/tls.crt");
  CHECK(home->keep_server_certificate());
  CHECK(read_credentials(home->server_folder()));
  CHECK(authority::make(at.pki(), time).error().code() == error_code::already_exists);
}

TEST_CASE("an authority that has lost a file says so, and is not begun anew over it") {
  const place at;
  const manual_clock time;
  const auto home = std::move(*authority::make(at.pki(), time));
  const auto issued = read_certificate(home->issue({role::person, "ann"}, 0)->certificate_pem);
  const auto token = *home->make_token(role::worker, "", false, 60'000);
  fs::rename(at.pki() + "/ca.key", at.root + "/aside");
  const auto anew = authority::make(at.pki(), time);
  REQUIRE_FALSE(anew);
  CHECK(anew.error().code() == error_code::data_loss);
  fs::rename(at.root + "/aside", at.pki() + "/ca.key");

  fs::remove(at.pki() + "/certificates.jsonl");
  const auto opened = authority::open(at.pki(), time);
  REQUIRE_FALSE(opened);
  CHECK(opened.error().code() == error_code::data_loss);
  CHECK(opened.error().message().find("certificates.jsonl is missing") != std::string::npos);
  CHECK(opened.error().message().find("copy") != std::string::npos);
  CHECK(home->is_revoked(issued->serial).error().code() == error_code::data_loss);
  CHECK(home->redeem(token, request()).error().code() == error_code::data_loss);
  CHECK_FALSE(home->issue({role::person, "bob"}, 0));
  CHECK_FALSE(fs::exists(at.pki() + "/certificates.jsonl"));
}

TEST_CASE("a folder that may not be looked into is not one without an authority") {
  const place at;
  const manual_clock time;
  REQUIRE(authority::make(at.pki(), time));
  if (::geteuid() != 0) return;
  REQUIRE(::seteuid(65'534) == 0);
  const auto opened = authority::open(at.pki(), time);
  const auto made = authority::make(at.pki(), time);
  REQUIRE(::seteuid(0) == 0);
  CHECK(opened.error().code() == error_code::permission_denied);
  CHECK(made.error().code() == error_code::permission_denied);
}

TEST_CASE("a coordinator's certificate is not revoked, since nobody would know") {
  const place at;
  const manual_clock time;
  const auto home = std::move(*authority::make(at.pki(), time));
  const auto serial = read_credentials(home->server_folder())->facts.serial;
  for (const auto& what : {std::string(coordinator_host), serial}) {
    const auto refused = home->revoke(what, "");
    REQUIRE_FALSE(refused);
    CHECK(refused.error().code() == error_code::failed_precondition);
    CHECK(refused.error().message().find("pki rotate") != std::string::npos);
    CHECK_FALSE(*home->is_revoked(serial));
  }
  // Who happens to have that name is another matter.
  REQUIRE(home->issue({role::person, std::string(coordinator_host)}, 0));
  CHECK(home->revoke(std::string(coordinator_host), "")->size() == 1);
  CHECK_FALSE(*home->is_revoked(serial));
}

TEST_CASE("the coordinator's certificate is renewed in time, with the same key") {
  const place at;
  manual_clock time;
  const auto home = std::move(*authority::make(at.pki(), time));
  const auto before = read_credentials(home->server_folder());
  REQUIRE(home->keep_server_certificate());
  CHECK(read_credentials(home->server_folder())->facts.serial == before->facts.serial);
  time.advance(300 * day_ms);
  REQUIRE(home->keep_server_certificate());
  const auto after = read_credentials(home->server_folder());
  REQUIRE(after);
  CHECK(after->facts.serial != before->facts.serial);
  CHECK(after->files.key_pem == before->files.key_pem);
}

TEST_CASE("credentials that do not belong together are refused with the file's name") {
  const place at;
  const manual_clock time;
  const auto home = std::move(*authority::make(at.pki(), time));
  const auto mine = *home->issue({role::person, "ann"}, 0);
  const auto folder = at.root + "/mine";
  REQUIRE(write_credentials(folder, mine));
  CHECK(read_credentials(folder));
  auto mixed = mine;
  mixed.key_pem = home->issue({role::person, "bob"}, 0)->key_pem;
  REQUIRE(write_credentials(folder, mixed));
  CHECK(read_credentials(folder).error().message().find("not of this key") != std::string::npos);
  fs::remove(folder + "/tls.crt");
  const auto missing = read_credentials(folder);
  CHECK(missing.error().code() == error_code::not_found);
  CHECK(missing.error().message().find("tls.crt") != std::string::npos);
}

}  // namespace
}  // namespace germline::pki
