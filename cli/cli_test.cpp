// The real binary, as a child: exit codes, usage, help, and what is said of this machine.
#include <arpa/inet.h>
#include <doctest/doctest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "cli/fake_control.hpp"

namespace germline::cli {

namespace fs = std::filesystem;
using testing::fixture;
using testing::folder;
using testing::germline;
using testing::outcome;
using testing::slurp;

TEST_CASE("0: what is asked for is on standard output, and JSON is one value") {
  fixture with;
  const auto ps = with.run("ps");
  CHECK(ps.code == 0);
  CHECK(ps.out.find("lin_1") != std::string::npos);
  CHECK(ps.out.find("na\\x1bme") != std::string::npos);
  CHECK(ps.err.empty());
  const auto json = with.run("ps --json");
  CHECK(json.code == 0);
  const auto value = nlohmann::json::parse(json.out);
  CHECK(value["runs"][0]["name"] == "na\x1bme");
  // Done a moment ago: shown to people, and nothing for a script to act upon.
  CHECK(with.run("ps -q").out.empty());
  CHECK(with.run("ps -q --all").out == "lin_1\n");
  with.control.pause_reason = v1::PAUSE_REASON_PERSON;
  CHECK(with.run("ps -q").out == "lin_1\n");
  with.control.pause_reason = v1::PAUSE_REASON_DONE;
  CHECK(with.run("tree").out.find("  done, depth") != std::string::npos);
}

TEST_CASE("2: usage, before anything is asked of a coordinator") {
  folder place;
  for (const char* arguments : {"",
                                "bogus",
                                "ps --bogus",
                                "kill",
                                "kill lin_1 --all",
                                "show",
                                "run . --model m",
                                "run . --model m --budget five",
                                "run . --lineages 0",
                                "diff a b c",
                                "run . --iterations -1",
                                "run . --iterations 0x10",
                                "run . --iterations 1e3",
                                "run . --iterations 99999999999999999999",
                                "run . --lineages 65",
                                "run . --strategy ''",
                                "run . --strategy best,,",
                                "run . --strategy $(head -c 300 /dev/zero | tr '\\0' s)",
                                "scale",
                                "scale run_1",
                                "scale run_1 65",
                                "scale run_1 -1",
                                "scale run_1 many",
                                "scale run_1 1 2",
                                "scale '' 1",
                                "scale run_1 1 --why ''",
                                "share",
                                "share run_1",
                                "share run_1 --weight 0",
                                "share run_1 --weight 1001",
                                "share run_1 --weight many",
                                "share run_1 --priority -1001",
                                "share run_1 --priority 1.5",
                                "share '' --weight 1",
                                "share run_1 2 --weight 1",
                                "run . --weight 0",
                                "run . --priority 1001",
                                "run . --random-seed -1",
                                "run . --folder /",
                                "run . --folder ../agents",
                                "run . --branch ''",
                                "run . --branch=",
                                "run ''",
                                "run . --goal ''",
                                "run . --goal $(head -c 9000 /dev/zero | tr '\\0' g)",
                                "run . --name $(head -c 300 /dev/zero | tr '\\0' n)",
                                "tree ''",
                                "diff '' gen_1",
                                "kill lin_1 ''",
                                "kill lin_1 --why ''",
                                "pause ''",
                                "promote gen_1 --branch ''",
                                "init ''",
                                "up --state-dir ''",
                                "ps --coordinator ''",
                                "up --slots 0x2",
                                "up --slots 5000000000",
                                "run . --goal \"$(printf 'caf\\351')\"",
                                "show \"$(printf '\\377')\""}) {
    CAPTURE(arguments);
    const auto result = germline(place, arguments);
    CHECK(result.code == 2);
    CHECK(result.out.empty());
    CHECK(!result.err.empty());
    CHECK(result.err.find("libprotobuf") == std::string::npos);
    // One form for all, but where no command at all was given.
    CHECK((std::string_view(arguments).empty() || result.err.starts_with("germline: ")));
    CHECK((std::string_view(arguments).empty() ||
           std::count(result.err.begin(), result.err.end(), '\n') == 1));
  }
  CHECK(germline(place, "run . --iterations -1").err.find("from 0 to 1000000000") !=
        std::string::npos);
  CHECK(
      germline(place, "run . --branch ''").err.find("--branch: is empty; give a value, or leave") !=
      std::string::npos);
  CHECK(germline(place, "run . --folder /").err.find("'/' is no folder inside the repository") !=
        std::string::npos);
  CHECK(germline(place, "run . --bogus").err.find("`germline run --help`") != std::string::npos);
  std::ofstream(place.at("run.toml")) << "schema = 1\n[run]\nlinages = 1\n";
  const auto file = germline(place, "run --file " + place.at("run.toml"));
  CHECK(file.code == 2);
  CHECK(file.err.find("`run.lineages`") != std::string::npos);
}

TEST_CASE("3: not found") {
  fixture with;
  const auto result = with.run("tree nope");
  CHECK(result.code == 3);
  CHECK(result.err == "germline: nothing is called nope\n");
  CHECK(with.run("run " + with.place.at("") + " --branch missing").code == 2);
  CHECK(with.run("run " + with.place.at("nowhere")).code == 3);
}

TEST_CASE("4: unreachable, and what to do") {
  folder place;
  const auto result = germline(place, "ps --coordinator unix:" + place.at("none"));
  CHECK(result.code == 4);
  CHECK(result.out.empty());
  CHECK(result.err == "germline: no coordinator can be reached at unix:" + place.at("none") +
                          "; start one with `germline up`, or say where it is with --coordinator"
                          " or GERMLINE_COORDINATOR\n");
}

TEST_CASE("5: refused") {
  fixture with;
  const auto result = with.run("pause lin_1");
  CHECK(result.code == 5);
  CHECK(result.err == "germline: lin_1 is killed, which is final\n");
}

TEST_CASE("5: a socket that this account may not use is told apart from none") {
  fixture with;
  fs::permissions(with.place.at("s"), fs::perms::none);
  // Root may use any: then as nobody, by descriptor since the build's folder may be closed.
  const std::string nobody = "setpriv --reuid=65534 --regid=65534 --clear-groups ";
  const std::string prefix = ::geteuid() == 0 ? nobody : "";
  fs::permissions(with.place.at(""), fs::perms::owner_all | fs::perms::others_exec);
  const auto told = [&](const std::string& arguments) {
    const auto command = "exec 9<" GERMLINE_BINARY "; env -i HOME=/ PATH=\"$PATH\" " + prefix +
                         "/proc/self/fd/9 " + arguments +
                         " --coordinator unix:" + with.place.at("s") + " >" + with.place.at("out") +
                         " 2>" + with.place.at("err");
    const int status = std::system(command.c_str());  // NOLINT(concurrency-mt-unsafe)
    return outcome{WEXITSTATUS(status), slurp(with.place.at("out")), slurp(with.place.at("err"))};
  };
  const auto ps = told("ps");
  CHECK(ps.code == 5);
  CHECK(ps.err.find("sudo") != std::string::npos);
  CHECK(ps.err.find("germline up") == std::string::npos);
  CHECK(told("doctor").out.find("this account may not use") != std::string::npos);
}

TEST_CASE("5: an address that is taken is told in one line") {
  folder place;
  const int taken = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in at{};
  at.sin_family = AF_INET;
  at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof at;
  REQUIRE(::bind(taken, reinterpret_cast<const sockaddr*>(&at), sizeof at) == 0);
  REQUIRE(::listen(taken, 1) == 0);
  REQUIRE(::getsockname(taken, reinterpret_cast<sockaddr*>(&at), &size) == 0);
  const auto address = "127.0.0.1:" + std::to_string(ntohs(at.sin_port));
  const auto start = "coordinator --state-dir " + place.at("state") + " --listen ";
  const auto refused = germline(place, start + address);
  ::close(taken);
  CHECK(refused.code == 5);
  CHECK(refused.err == "germline: cannot listen on " + address + ": Address already in use\n");
  CHECK(germline(place, start + "127.0.0.1:99999").code == 2);
  CHECK(germline(place, start + "unix:" + place.at("no/s")).code == 5);
}

TEST_CASE("on a terminal settings, checks and errors fit its width") {
  const folder place;
  const auto deep = place.at("a-folder-with-a-long-name/and-another-one/and-a-third-one/socket");
  for (const auto& words : {"config show --origin", "doctor", "ps", "--help", "up --help",
                            "run --help", "promote --help", "pause --help", "kill --help",
                            "scale --help", "share --help", "rollback --help"}) {
    CAPTURE(words);
    const auto command = "export GERMLINE_COORDINATOR=unix:" + deep + "; stty cols 80 rows 24; " +
                         GERMLINE_BINARY + " " + words;
    std::ofstream(place.at("script.sh")) << command << "\n";
    std::system(("script -qec 'sh " + place.at("script.sh") + "' /dev/null >" + place.at("out") +
                 " </dev/null")
                    .c_str());  // NOLINT(concurrency-mt-unsafe)
    std::istringstream lines(slurp(place.at("out")));
    int count = 0;
    for (std::string line; std::getline(lines, line); ++count) {
      std::string shown;  // without colours
      for (std::size_t i = 0; i < line.size(); ++i) {
        if (line[i] == '\x1b')
          i = line.find('m', i);
        else if (line[i] != '\r')
          shown += line[i];
      }
      CAPTURE(shown);
      CHECK(shown.size() <= 80);
    }
    CHECK(count >= 2);
  }
}

TEST_CASE("init makes a repository whose first commit is the genome") {
  folder place;
  const auto made = germline(place, "init " + place.at("g") + " --from two-second");
  CHECK(made.code == 0);
  CHECK(fs::is_regular_file(place.at("g/genome.toml")));
  CHECK(std::system(("git -C " + place.at("g") + " diff --quiet main").c_str()) == 0);
  CHECK(germline(place, "init " + place.at("g")).code == 5);
  CHECK(germline(place, "init " + place.at("h") + " --from nothing").code == 3);
}

TEST_CASE("init lays what a genome changes over the genome that it is made from") {
  folder place;
  CHECK(germline(place, "init " + place.at("g") + " --from task-solver").code == 0);
  CHECK(fs::is_regular_file(place.at("g/src/iteration.cpp")));
  CHECK(fs::is_regular_file(place.at("g/protected/run")));
  const auto evaluator = fs::status(place.at("g/protected/evaluate")).permissions();
  CHECK((evaluator & fs::perms::owner_exec) != fs::perms::none);
  std::ifstream manifest(place.at("g/genome.toml"));
  const std::string text(std::istreambuf_iterator<char>(manifest), {});
  CHECK(text.find("name = \"task-solver\"") != std::string::npos);
}

TEST_CASE("config shows where each value comes from") {
  folder place;
  fs::create_directories(place.at(".config/germline"));
  std::ofstream(place.at(".config/germline/config.toml")) << "schema = 1\n[worker]\nslots = 3\n";
  const auto shown = germline(place, "config show --json");
  CHECK(shown.code == 0);
  const auto value = nlohmann::json::parse(shown.out);
  CHECK(value["worker.slots"]["value"] == "3");
  CHECK(value["coordinator"]["origin"] == "default");
  for (const char* key : {"share_dir", "libexec_dir"}) {
    CHECK(fs::is_directory(value[key]["value"].get<std::string>()));
    CHECK(value[key]["origin"].get<std::string>().starts_with("default: "));
  }
}

TEST_CASE("doctor's JSON says whether this machine is able") {
  folder place;
  const auto result = germline(place, "doctor --json --coordinator unix:" + place.at("none"));
  const auto value = nlohmann::json::parse(result.out);
  CHECK(result.code == (value["able"].get<bool>() ? 0 : 1));
  CHECK(!value["checks"].empty());
}

TEST_CASE("doctor names the helper programs that are missing") {
  const folder place;
  const auto helpers = [&](const std::string& libexec) {
    const auto told = germline(place, "doctor --json --coordinator unix:" + place.at("none"),
                               "GERMLINE_LIBEXEC=" + libexec);
    const auto value = nlohmann::json::parse(told.out);
    for (const auto& one : value["checks"]) {
      if (one["name"] != "helper programs") continue;
      CHECK((one["ok"].get<bool>() || told.code == 1));
      return one["ok"].get<bool>() ? "ok" : one["detail"].get<std::string>();
    }
    return std::string("no such check");
  };
  CHECK(helpers(fs::path(GERMLINE_BINARY).parent_path().string()) == "ok");
  fs::create_directories(place.at("bin"));
  for (const char* name : {"germline-zygote", "germline-init", "germline-as-candidate",
                           "germline-gateway", "germline-importer", "germline-mirror"}) {
    std::ofstream(place.at("bin/") + name) << "#!/bin/sh\n";
    fs::permissions(place.at("bin/") + name, fs::perms::owner_all);
  }
  CHECK(helpers(place.at("bin")) == "in " + place.at("bin") + ": germline-stand-in is missing");
  fs::permissions(place.at("bin/germline-init"), fs::perms::owner_read);
  CHECK(helpers(place.at("bin")) == "in " + place.at("bin") +
                                        ": germline-init cannot be executed, "
                                        "germline-stand-in is missing");
}

TEST_CASE("an unknown command is told with the nearest one; help is a command too") {
  const folder place;
  const auto typo = germline(place, "kil");
  CHECK(typo.code == 2);
  CHECK(typo.err.find("unknown command 'kil'; did you mean 'kill'?") != std::string::npos);
  CHECK(germline(place, "--json ps").err ==
        "germline: the flag '--json' is said behind the command (see `germline ps --help`)\n");
  CHECK(germline(place, "help").out == germline(place, "--help").out);
  CHECK(germline(place, "help kill").out == germline(place, "kill --help").out);
  CHECK(germline(place, "help kil").code == 2);
}

TEST_CASE("an unknown flag is told with the nearest one, and a word too many as it is") {
  const folder place;
  CHECK(germline(place, "up --slot 3").err ==
        "germline: unknown flag '--slot'; did you mean '--slots'? (see `germline up --help`)\n");
  CHECK(germline(place, "config show --origins")
            .err.find("did you mean '--origin'? (see "
                      "`germline config show --help`)") != std::string::npos);
  CHECK(germline(place, "tree a b").err ==
        "germline: 'b' is one word too many (see `germline tree --help`)\n");
  const auto diff = germline(place, "diff --help").out;
  CHECK(diff.find("(1x)") == std::string::npos);
  CHECK(diff.find("iterations") != std::string::npos);
}

TEST_CASE("what cannot be written is no success") {
  const folder place;
  for (const std::string words : {"--help", "config show", "config show --json"}) {
    CAPTURE(words);
    CHECK(germline(place, words).code == 0);
    const auto command = "env -i HOME=" + place.at("") + " " GERMLINE_BINARY " " + words +
                         " >/dev/full 2>" + place.at("err");
    const int status = std::system(command.c_str());  // NOLINT(concurrency-mt-unsafe)
    CHECK(WEXITSTATUS(status) == 1);
    CHECK(slurp(place.at("err")).find("No space left on device") != std::string::npos);
  }
  // What is said on standard error after the failure does not change what it was.
  const fixture with;
  const std::string binary = GERMLINE_BINARY;
  const auto command = "env -i HOME=" + with.place.at("") + " PATH=\"$PATH\" " + binary + " run " +
                       with.place.at("") + " --coordinator unix:" + with.place.at("s") +
                       " >/dev/full 2>" + place.at("err");
  const int status = std::system(command.c_str());  // NOLINT(concurrency-mt-unsafe)
  CHECK(WEXITSTATUS(status) == 1);
  CHECK(slurp(place.at("err"))
            .ends_with("lineage lin_1\ngermline: writing standard output: No "
                       "space left on device\n"));
}

}  // namespace germline::cli
