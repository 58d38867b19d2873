#include "common/config/config.hpp"

#include <doctest/doctest.h>

#include <filesystem>
#include <map>

namespace germline {
namespace {

config_sources sources_with(std::map<std::string, std::string> environment) {
  config_sources sources;
  sources.environment =
      [environment = std::move(environment)](std::string_view name) -> std::optional<std::string> {
    const auto found = environment.find(std::string(name));
    if (found == environment.end()) return std::nullopt;
    return found->second;
  };
  return sources;
}

const setting& find(const config& loaded, std::string_view key) {
  for (const auto& found : loaded.all()) {
    if (found.key == key) return found;
  }
  FAIL("no setting " << std::string(key));
  return loaded.all().front();
}

}  // namespace

TEST_CASE("a flag wins over the environment, that over the file, that over the default") {
  auto sources = sources_with({});
  CHECK(find(*config::load(sources), "coordinator").value == "unix:/run/germline/control.sock");
  CHECK(find(*config::load(sources), "coordinator").origin == "default");

  sources.file_name = "c.toml";
  sources.file_text = "schema = 1\ncoordinator = \"unix:/file\"\n[worker]\nslots = 3\n";
  CHECK(find(*config::load(sources), "coordinator").value == "unix:/file");
  CHECK(find(*config::load(sources), "coordinator").origin == "c.toml:2");
  CHECK(config::load(sources)->get_int("worker.slots") == 3);

  sources.environment = sources_with({{"GERMLINE_COORDINATOR", "unix:/env"}}).environment;
  CHECK(find(*config::load(sources), "coordinator").value == "unix:/env");
  CHECK(find(*config::load(sources), "coordinator").origin == "GERMLINE_COORDINATOR");

  sources.flags["coordinator"] = "127.0.0.1:7000";
  CHECK(find(*config::load(sources), "coordinator").value == "127.0.0.1:7000");
  CHECK(find(*config::load(sources), "coordinator").origin == "flag --coordinator");
}

TEST_CASE("what the fleet may take is a limit of its unit, and nothing else") {
  auto sources = sources_with({{"GERMLINE_FLEET_TOKEN_BUDGET", "1B/day"}});
  sources.flags["fleet_request_budget"] = "10k/day";
  sources.flags["fleet_budget"] = "$5";
  const auto loaded = config::load(sources);
  REQUIRE(loaded);
  CHECK(loaded->get("fleet_token_budget") == "1B/day");
  CHECK(loaded->get("fleet_request_budget") == "10k/day");
  for (const auto* wrong : {"$5", "1B/week", "1.5", "lots"}) {
    CAPTURE(wrong);
    sources.flags["fleet_token_budget"] = wrong;
    const auto refused = config::load(sources);
    REQUIRE(!refused);
    CHECK(refused.error().message().find("flag --fleet-token-budget") != std::string::npos);
    CHECK(refused.error().message().find("\"1B/day\"") != std::string::npos);
  }
}

TEST_CASE("an unknown key names its place and the nearest known key") {
  auto sources = sources_with({});
  sources.file_name = "c.toml";
  sources.file_text = "schema = 1\ncordinator = \"unix:/x\"\n";
  const auto loaded = config::load(sources);
  REQUIRE(!loaded);
  CHECK(loaded.error().code() == error_code::invalid_argument);
  CHECK(loaded.error().message().find("c.toml:2: ") == 0);
  CHECK(loaded.error().message().find("`coordinator`") != std::string::npos);
}

TEST_CASE("values of the wrong form are refused, with where they came from") {
  auto sources = sources_with({{"GERMLINE_WORKER_SLOTS", "many"}});
  const auto loaded = config::load(sources);
  REQUIRE(!loaded);
  CHECK(loaded.error().message().find("GERMLINE_WORKER_SLOTS: `worker.slots`") == 0);

  for (const char* slots : {"0", "-1", "0x2", "1025", "99999999999999999999"}) {
    const auto refused = config::load(sources_with({{"GERMLINE_WORKER_SLOTS", slots}}));
    REQUIRE(!refused);
    CHECK(refused.error().message().find("from 1 to 1024") != std::string::npos);
  }

  auto address = sources_with({{"GERMLINE_COORDINATOR", "nonsense"}});
  CHECK(!config::load(address));

  auto nowhere = sources_with({});
  nowhere.file_name = "c.toml";
  nowhere.file_text = "schema = 1\nstate_dir = \"\"\n";
  REQUIRE(!config::load(nowhere));
  CHECK(config::load(nowhere).error().message().find("must not be empty") != std::string::npos);

  auto no_schema = sources_with({});
  no_schema.file_name = "c.toml";
  no_schema.file_text = "state_dir = \"/x\"\n";
  CHECK(!config::load(no_schema));
}

TEST_CASE("the file is looked for where XDG says") {
  CHECK(config_path(sources_with({{"HOME", "/h"}}).environment) ==
        "/h/.config/germline/config.toml");
  CHECK(config_path(sources_with({{"HOME", "/h"}, {"XDG_CONFIG_HOME", "/x"}}).environment) ==
        "/x/germline/config.toml");
  CHECK(config_path(sources_with({{"GERMLINE_CONFIG", "/g.toml"}}).environment) == "/g.toml");
  CHECK(config_path(sources_with({}).environment).empty());
}

TEST_CASE("without root the defaults are the user's own") {
  const auto loaded =
      config::load(sources_with({{"HOME", "/h"}, {"XDG_RUNTIME_DIR", "/run/user/7"}}));
  CHECK(loaded->get("coordinator") == "unix:/run/user/7/germline/control.sock");
  CHECK(loaded->get("state_dir") == "/h/.local/state/germline");
  auto relative = sources_with({});
  relative.flags["state_dir"] = "./here//state/";
  CHECK(config::load(relative)->get("state_dir") ==
        (std::filesystem::current_path() / "here/state").string());
}

TEST_CASE("a worker's tags are one text, or in the file a list") {
  CHECK(config::load(sources_with({}))->get("worker.tags").empty());
  CHECK(config::load(sources_with({{"GERMLINE_WORKER_TAGS", "gpu,zone=a"}}))->get("worker.tags") ==
        "gpu,zone=a");
  auto listed = sources_with({});
  listed.file_name = "c.toml";
  listed.file_text = "schema = 1\n[worker]\ntags = [\"gpu\", \"zone=a\"]\n";
  CHECK(config::load(listed)->get("worker.tags") == "gpu,zone=a");
  const auto wrong = config::load(sources_with({{"GERMLINE_WORKER_TAGS", "gpu,Zone"}}));
  REQUIRE(!wrong);
  CHECK(wrong.error().message().find("GERMLINE_WORKER_TAGS: `worker.tags`: 'Zone' is no tag") == 0);
  listed.file_text = "schema = 1\n[worker]\nmirrors = [\"npm=https://mirror.example\"]\n";
  CHECK(config::load(listed)->get("worker.mirrors") == "npm=https://mirror.example");
  const auto plain = config::load(sources_with({{"GERMLINE_WORKER_MIRRORS", "npm=http://a.b"}}));
  REQUIRE(!plain);
  CHECK(plain.error().message().find("GERMLINE_WORKER_MIRRORS: `worker.mirrors`: ") == 0);
  CHECK(plain.error().message().find("loopback") != std::string::npos);
  listed.file_text = "schema = 1\nstate_dir = [\"/a\", \"/b\"]\n";
  REQUIRE(!config::load(listed));
  CHECK(config::load(listed).error().message() == "c.toml:2: `state_dir` takes one value");
}

}  // namespace germline
