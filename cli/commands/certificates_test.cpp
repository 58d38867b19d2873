// `germline pki` and `germline login`, as people run them. What a coordinator makes of certificates
// is tested beside it.
#include <arpa/inet.h>
#include <doctest/doctest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <grpcpp/server_builder.h>

#include <csignal>
#include <nlohmann/json.hpp>

#include "cli/binary_fixture.hpp"
#include "common/grpc_status.hpp"
#include "common/grpc_tls.hpp"
#include "common/pki/authority.hpp"
#include "germline/v1/control.grpc.pb.h"
#include "germline/v1/fleet.grpc.pb.h"

namespace germline::cli {
namespace {

using nlohmann::json;
using testing::folder;
using testing::germline;
using testing::slurp;

/// The arguments that name an authority in the folder.
std::string in(const folder& place) {
  return " --pki-dir " + place.at("pki");
}

TEST_CASE("without an authority each command says how one is made") {
  const folder place;
  for (const auto* command :
       {"pki token", "pki list", "pki issue worker w --out o", "pki revoke w", "pki rotate"}) {
    CAPTURE(command);
    const auto done = germline(place, command + in(place));
    CHECK(done.code == 3);
    CHECK(done.err.find("germline pki init") != std::string::npos);
  }
}

TEST_CASE("an authority is made once, and its fingerprint is data") {
  const folder place;
  const auto made = germline(place, "pki init" + in(place));
  CHECK(made.code == 0);
  CHECK(made.out.size() == 65);
  CHECK(germline(place, "pki init" + in(place)).code == 5);
}

TEST_CASE("a token alone is printed, so that a script can take it") {
  const folder place;
  germline(place, "pki init" + in(place));
  const auto token = germline(place, "pki token --ttl 30m" + in(place));
  CHECK(token.code == 0);
  CHECK(token.out.starts_with("glj1."));
  CHECK(token.out.find('\n') == token.out.size() - 1);
  CHECK(token.err.find("--join") != std::string::npos);
  CHECK(json::parse(germline(place, "pki token --json" + in(place)).out).contains("token"));
  for (const auto* wrong : {"--ttl 8d", "--ttl soon", "--role person", "--role coordinator",
                            "--name ann", "--role person --name 'a b'", "--role king"}) {
    CAPTURE(wrong);
    const auto refused = germline(place, std::string("pki token ") + wrong + in(place));
    CHECK(refused.code == 2);
    CHECK(refused.out.empty());
  }
}

TEST_CASE("certificates are issued, listed, revoked, and not written over others") {
  const folder place;
  germline(place, "pki init" + in(place));
  const auto out = " --out " + place.at("ann");
  CHECK(germline(place, "pki issue person ann" + out + in(place)).code == 0);
  CHECK(germline(place, "pki issue person ann" + out + in(place)).code == 5);
  CHECK(germline(place, "pki issue coordinator x --out " + place.at("c") + in(place)).code == 2);
  CHECK(germline(place, "pki issue worker 'a,b' --out " + place.at("c") + in(place)).code == 2);

  auto listed = json::parse(germline(place, "pki list --json" + in(place)).out)["certificates"];
  REQUIRE(listed.size() == 2);
  CHECK(listed[0]["role"] == "coordinator");
  CHECK(listed[1]["name"] == "ann");
  CHECK(listed[1]["state"] == "holds");

  CHECK(germline(place, "pki revoke ann --why 'has left'" + in(place)).code == 0);
  CHECK(germline(place, "pki revoke ann" + in(place)).code == 3);
  CHECK(json::parse(germline(place, "pki list --json" + in(place)).out)["certificates"].size() ==
        1);
  listed = json::parse(germline(place, "pki list --all --json" + in(place)).out)["certificates"];
  REQUIRE(listed.size() == 2);
  CHECK(listed[1]["state"] == "revoked");
  CHECK(listed[1]["why"] == "has left");
}

TEST_CASE("a rotation says who is not ready, and is finished when all are") {
  const folder place;
  germline(place, "pki init" + in(place));
  germline(place, "pki issue person ann --out " + place.at("ann") + in(place));
  CHECK(germline(place, "pki rotate --finish" + in(place)).code == 5);
  CHECK(germline(place, "pki rotate" + in(place)).code == 0);
  CHECK(germline(place, "pki list" + in(place)).err.find("rotation goes on") != std::string::npos);
  const auto early = germline(place, "pki rotate --finish" + in(place));
  CHECK(early.code == 5);
  CHECK(early.err.find("person ann") != std::string::npos);
  germline(place, "pki issue person ann --out " + place.at("ann2") + in(place));
  CHECK(germline(place, "pki rotate --finish" + in(place)).code == 0);
}

TEST_CASE("a rotation that was cut short is told, and taken up by another") {
  const folder place;
  germline(place, "pki init" + in(place));
  std::filesystem::create_directories(place.at("pki/server/ca.crt.new/x"));
  CHECK(germline(place, "pki rotate" + in(place)).code != 0);
  std::filesystem::remove_all(place.at("pki/server/ca.crt.new"));
  CHECK(germline(place, "pki list" + in(place)).err.find("cut short") != std::string::npos);
  CHECK(germline(place, "pki rotate --finish" + in(place)).code == 5);
  CHECK(germline(place, "pki rotate" + in(place)).code == 0);
  CHECK(germline(place, "pki list" + in(place)).err.find("cut short") == std::string::npos);
  CHECK(germline(place, "pki rotate --finish" + in(place)).code == 0);
}

TEST_CASE("who is left behind by a rotation is shown so, and not waited for by the next") {
  const folder place;
  germline(place, "pki init" + in(place));
  germline(place, "pki issue person ann --out " + place.at("ann") + in(place));
  germline(place, "pki rotate" + in(place));
  CHECK(germline(place, "pki rotate --finish --leave-behind" + in(place)).code == 0);
  const auto listed = json::parse(germline(place, "pki list --json" + in(place)).out);
  for (const auto& each : listed["certificates"]) {
    CAPTURE(each.dump());
    const bool is_new = each["role"] == "coordinator" && each != listed["certificates"][0];
    CHECK(each["state"] == (is_new ? "holds" : "left behind"));
  }
  CHECK(germline(place, "pki list" + in(place)).out.find("left behind") != std::string::npos);
  germline(place, "pki rotate" + in(place));
  CHECK(germline(place, "pki rotate --finish" + in(place)).code == 0);
}

TEST_CASE("the list has the serial that revoke takes") {
  const folder place;
  germline(place, "pki init" + in(place));
  germline(place, "pki issue person ann --out " + place.at("ann") + in(place));
  const auto listed = json::parse(germline(place, "pki list --json" + in(place)).out);
  const std::string serial = listed["certificates"][1]["serial"];
  CHECK(germline(place, "pki list" + in(place)).out.find(serial) != std::string::npos);
  CHECK(germline(place, "pki revoke " + serial + in(place)).code == 0);
}

TEST_CASE("revoke takes a unique beginning, and names those that one fits") {
  const folder place;
  germline(place, "pki init" + in(place));
  for (const std::string name : {"ann", "anna", "bert"}) {
    germline(place, "pki issue person " + name + " --out " + place.at(name) + in(place));
  }
  const auto several = germline(place, "pki revoke an" + in(place));
  CHECK(several.code == 2);
  CHECK(several.err == "germline: 'an' fits several; name one of them:\n  ann\n  anna\n");
  const auto revoked = [&](const std::string& what) {
    const auto done = germline(place, "pki revoke " + what + " --json" + in(place));
    CHECK(done.code == 0);
    return json::parse(done.out)["certificates"][0]["name"];
  };
  CHECK(revoked("ann") == "ann");  // whole
  CHECK(revoked("an") == "anna");  // what is revoked is not meant any more
  const auto listed = json::parse(germline(place, "pki list --json" + in(place)).out);
  const std::string serial = listed["certificates"][1]["serial"];
  CHECK(revoked(serial.substr(0, 12)) == "bert");
  CHECK(germline(place, "pki revoke b" + in(place)).code == 3);
  const auto token = json::parse(germline(place, "pki token --reusable --json" + in(place)).out);
  const std::string id = token["id"];
  CHECK(germline(place, "pki revoke " + id.substr(0, 10) + in(place)).code == 0);
  CHECK(json::parse(germline(place, "pki list --json" + in(place)).out)["reusable_tokens"].empty());
}

TEST_CASE("who may not look into an authority is told whose it is, and what to do") {
  const folder place;
  germline(place, "pki init" + in(place));
  const std::string nobody = "setpriv --reuid=65534 --regid=65534 --clear-groups ";
  const std::string prefix = ::geteuid() == 0 ? nobody : "";
  if (prefix.empty()) std::filesystem::permissions(place.at("pki"), std::filesystem::perms::none);
  std::filesystem::permissions(
      place.at(""), std::filesystem::perms::others_exec | std::filesystem::perms::owner_all);
  const auto told = [&](const std::string& arguments) {
    const auto command = "exec 9<" GERMLINE_BINARY "; env -i HOME=/nowhere PATH=\"$PATH\" " +
                         prefix + "/proc/self/fd/9 " + arguments + " >" + place.at("out") + " 2>" +
                         place.at("err");
    const int status = std::system(command.c_str());  // NOLINT(concurrency-mt-unsafe)
    return testing::outcome{WEXITSTATUS(status), "", slurp(place.at("err"))};
  };
  for (const std::string command : {"pki list", "pki token", "pki init"}) {
    CAPTURE(command);
    const auto refused = told(command + in(place));
    CHECK(refused.code == 5);
    CHECK(refused.err.find("this account may not use the authority in " + place.at("pki")) !=
          std::string::npos);
    CHECK(refused.err.find("sudo") != std::string::npos);
  }
  const auto own = told("pki token");
  CHECK(own.code == 3);
  CHECK(own.err.find("sudo") != std::string::npos);
  if (prefix.empty()) {
    std::filesystem::permissions(place.at("pki"), std::filesystem::perms::owner_all);
  }
}

TEST_CASE("a certificate that cannot be handed out is nobody's") {
  const folder place;
  germline(place, "pki init" + in(place));
  std::ofstream(place.at("file")) << "x";
  CHECK(germline(place, "pki issue person ann --out " + place.at("file") + "/x" + in(place)).code !=
        0);
  // The folder is there, and what is in the way of the certificate is found only while writing.
  std::filesystem::create_directories(place.at("full/tls.crt.new/x"));
  CHECK(germline(place, "pki issue person ann --out " + place.at("full") + in(place)).code != 0);
  CHECK(germline(place, "pki list" + in(place)).out.find("ann") == std::string::npos);
  const auto all = json::parse(germline(place, "pki list --all --json" + in(place)).out);
  REQUIRE(all["certificates"].size() == 2);
  CHECK(all["certificates"][1]["state"] == "revoked");
}

TEST_CASE("a reusable token is listed until it is revoked") {
  const folder place;
  germline(place, "pki init" + in(place));
  const auto token = json::parse(germline(place, "pki token --reusable --json" + in(place)).out);
  const std::string id = token["id"];
  const auto listed = [&] {
    return json::parse(germline(place, "pki list --json" + in(place)).out)["reusable_tokens"];
  };
  REQUIRE(listed().size() == 1);
  CHECK(listed()[0]["id"] == id);
  CHECK(germline(place, "pki list" + in(place)).err.find(id) != std::string::npos);
  CHECK(germline(place, "pki revoke " + id + in(place)).code == 0);
  CHECK(listed().empty());
  const std::string other =
      json::parse(germline(place, "pki token --reusable --json" + in(place)).out)["token"];
  CHECK(germline(place, "pki revoke " + other + " --why leaked" + in(place)).code == 0);
  CHECK(listed().empty());
}

TEST_CASE("an address elsewhere is not dialled without credentials, and says how to get some") {
  const folder place;
  for (const auto* command : {"ps", "kill --all", "logs x"}) {
    const auto done =
        germline(place, std::string(command) + " --coordinator coordinator.invalid:7411");
    CAPTURE(command);
    CHECK(done.code == 5);
    CHECK(done.err.find("germline login") != std::string::npos);
  }
  const auto missing = germline(place, "ps --coordinator tls:127.0.0.1:1 --tls-dir /nowhere");
  CHECK(missing.err.find("/nowhere/ca.crt") != std::string::npos);
}

TEST_CASE("login says what is wrong with a token, and with the address") {
  const folder place;
  const auto without = germline(place, "login 127.0.0.1:1");
  CHECK(without.code == 2);
  CHECK(without.err.find("germline pki token") != std::string::npos);
  CHECK(germline(place, "login 127.0.0.1:1 --token nonsense").code == 2);
  germline(place, "pki init" + in(place));
  auto token = germline(place, "pki token --role person --name ann" + in(place)).out;
  token.pop_back();
  const auto nobody = germline(place, "login 127.0.0.1:1 --token " + token);
  CHECK(nobody.code == 4);
  CHECK(nobody.err.find("127.0.0.1:1") != std::string::npos);
  CHECK(germline(place, "login 127.0.0.1 --token " + token).code == 2);
}

TEST_CASE("a worker's token logs nobody in, nor a person's token a worker") {
  const folder place;
  germline(place, "pki init" + in(place));
  const auto workers = germline(place, "pki token" + in(place)).out;
  const auto refused =
      germline(place, "login 127.0.0.1:1 --token " + workers.substr(0, workers.size() - 1));
  CHECK(refused.code == 2);
  CHECK(refused.err.find("--role person") != std::string::npos);
}

TEST_CASE("a token is taken from a file, or from standard input") {
  const folder place;
  germline(place, "pki init" + in(place));
  std::ofstream(place.at("token"))
      << germline(place, "pki token --role person --name ann" + in(place)).out;
  // Nobody is there: the token was good.
  CHECK(germline(place, "login 127.0.0.1:1 --token-file " + place.at("token")).code == 4);
  const auto piped = "env -i HOME=" + place.at("") +
                     " " GERMLINE_BINARY " login 127.0.0.1:1 --token-file - <" + place.at("token") +
                     " 2>/dev/null";
  const int status = std::system(piped.c_str());  // NOLINT(concurrency-mt-unsafe)
  CHECK(WEXITSTATUS(status) == 4);
  CHECK(germline(place, "login 127.0.0.1:1 --token-file -").code == 2);
  CHECK(germline(place, "login 127.0.0.1:1 --token-file /dev/null").code == 2);
  CHECK(germline(place, "login 127.0.0.1:1 --token-file /nowhere").code == 3);
  CHECK(germline(place, "login 127.0.0.1:1 --token t --token-file /dev/null").code == 2);
}

/// Lets in who has a token of the authority, and answers who has a certificate.
class open_door final : public v1::Enrolment::Service {
 public:
  explicit open_door(const folder& place) : home_(*pki::authority::make(place.at("pki"), time_)) {
    ::signal(SIGPIPE, SIG_IGN);
    int port = 0;
    grpc::ServerBuilder builder;
    builder.RegisterService(this);
    builder.RegisterService(&control_);
    builder.AddListeningPort("127.0.0.1:0", *server_credentials(home_->server_folder()), &port);
    server_ = builder.BuildAndStart();
    REQUIRE(server_);
    address = "127.0.0.1:" + std::to_string(port);
  }
  ~open_door() override { server_->Shutdown(); }
  std::string token() { return *home_->make_token(pki::role::person, "ann", false, 60'000); }

  std::string address;

 private:
  class idle final : public v1::Control::Service {
    grpc::Status ListRuns(grpc::ServerContext*, const v1::ListRunsRequest*,
                          v1::ListRunsReply*) override {
      return grpc::Status::OK;
    }
  };
  grpc::Status Enroll(grpc::ServerContext*, const v1::EnrollRequest* request,
                      v1::Credentials* reply) override {
    const auto made = home_->redeem(request->token(), request->csr_pem());
    if (!made) return to_status(result<void>(made.error()));
    reply->set_certificate_pem(made->certificate_pem);
    reply->set_ca_pem(made->ca_pem);
    return grpc::Status::OK;
  }
  const system_clock_source time_;
  std::unique_ptr<pki::authority> home_;
  idle control_;
  std::unique_ptr<grpc::Server> server_;
};

TEST_CASE("after a login nothing has to be said of where the coordinator and the credentials are") {
  for (const auto* where : {"", "a \"folder\" of mine"}) {
    CAPTURE(where);
    const folder place;
    open_door door(place);
    const std::string named = *where == '\0' ? "" : " --tls-dir '" + place.at(where) + "'";
    const auto in = germline(place, "login " + door.address + " --token " + door.token() + named);
    CAPTURE(in.err);
    REQUIRE(in.code == 0);
    CHECK(std::filesystem::exists(place.at(*where == '\0' ? ".config/germline/tls" : where)));
    const auto asked = germline(place, "ps");
    CAPTURE(asked.err);
    CHECK(asked.code == 0);
  }
}

TEST_CASE("a coordinator that serves TLS and was dialled without is told apart from none") {
  const folder place;
  open_door door(place);
  const auto strange = germline(place, "ps --coordinator " + door.address);
  CHECK(strange.code == 4);
  CHECK(strange.err.find("speaks TLS") != std::string::npos);
  CHECK(strange.err.find("`germline login tls:" + door.address + " --token-file FILE`") !=
        std::string::npos);
  REQUIRE(germline(place, "login " + door.address + " --token " + door.token()).code == 0);
  const auto known = germline(place, "ps --coordinator " + door.address);
  CHECK(known.err.find("say tls:" + door.address) != std::string::npos);
  CHECK(known.err.find("login") == std::string::npos);
}

TEST_CASE("a coordinator of another authority is told as such, and what to do") {
  const folder place, elsewhere;
  open_door door(place);
  germline(elsewhere, "pki init" + in(elsewhere));
  germline(elsewhere, "pki issue person ann --out " + elsewhere.at("ann") + in(elsewhere));
  const auto told =
      germline(place, "ps --coordinator tls:" + door.address + " --tls-dir " + elsewhere.at("ann"));
  CHECK(told.code == 4);
  CHECK(told.err.find("shows the certificate of another authority, which " +
                      elsewhere.at("ann/ca.crt") + " does not name") != std::string::npos);
  CHECK(told.err.find("germline login") != std::string::npos);
  CHECK(told.err.find("handshake") == std::string::npos);
  const auto nobody =
      germline(place, "ps --coordinator tls:127.0.0.1:1 --tls-dir " + elsewhere.at("ann"));
  CHECK(nobody.code == 4);
  CHECK(nobody.err ==
        "germline: no coordinator can be reached over TLS: cannot reach "
        "127.0.0.1:1: Connection refused\n");
}

TEST_CASE("who has a certificate whose time is over is told so, and not that nobody answers") {
  const folder place;
  const manual_clock long_ago;
  const auto home = std::move(*pki::authority::make(place.at("pki"), long_ago));
  REQUIRE(pki::write_credentials(place.at("ann"), *home->issue({pki::role::person, "ann"}, 0)));
  const auto told =
      germline(place, "ps --coordinator tls:127.0.0.1:1 --tls-dir " + place.at("ann"));
  CHECK(told.code == 5);
  CHECK(told.err.find("it is over") != std::string::npos);
  CHECK(told.err.find("germline login --replace") != std::string::npos);
}

TEST_CASE("what is told of an authority is what is so") {
  const folder place;
  germline(place, "pki init" + in(place));
  // A coordinator's certificate is not revoked: nobody would know.
  const auto refused = germline(place, "pki revoke coordinator.germline" + in(place));
  CHECK(refused.code == 5);
  CHECK(refused.err.find("pki rotate") != std::string::npos);
  // An init that was cut short is finished by another.
  std::filesystem::remove_all(place.at("pki/server"));
  CHECK(germline(place, "pki init" + in(place)).code == 0);
  CHECK(germline(place, "pki token" + in(place)).code == 0);
  std::filesystem::remove(place.at("pki/certificates.jsonl"));
  const auto lost = germline(place, "pki list" + in(place));
  CHECK(lost.code != 0);
  CHECK(lost.err.find("certificates.jsonl is missing") != std::string::npos);
}

/// The words of the process that dials the listening socket, once it has.
std::string words_of_caller(const folder& place, const std::string& arguments) {
  const int listener = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  REQUIRE(::bind(listener, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
  REQUIRE(::listen(listener, 1) == 0);
  REQUIRE(::getsockname(listener, reinterpret_cast<sockaddr*>(&address), &size) == 0);
  const auto command = "env -i HOME=" + place.at("") + " " GERMLINE_BINARY " login 127.0.0.1:" +
                       std::to_string(ntohs(address.sin_port)) + " " + arguments + " >" +
                       place.at("out") + " 2>&1 & echo $! >" + place.at("pid");
  REQUIRE(std::system(command.c_str()) == 0);  // NOLINT(concurrency-mt-unsafe)
  const int dialled = ::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC);
  auto pid = slurp(place.at("pid"));
  pid.pop_back();
  auto words = slurp("/proc/" + pid + "/cmdline");
  ::close(dialled);
  ::close(listener);
  return words;
}

TEST_CASE("a token is not in the list of processes") {
  const folder place;
  germline(place, "pki init" + in(place));
  auto token = germline(place, "pki token --role person --name ann" + in(place)).out;
  token.pop_back();
  for (const auto* form : {"--token ", "--token="}) {
    const auto words = words_of_caller(place, form + token);
    CAPTURE(words);
    CHECK(words.find("login") != std::string::npos);
    CHECK(words.find("glj1") == std::string::npos);
    CHECK(words.find(token.substr(5)) == std::string::npos);
  }
}

TEST_CASE("a join token is no word for the list of settings") {
  const folder place;
  const auto shown = germline(place, "config show", "GERMLINE_JOIN_TOKEN=glj1.secret");
  CHECK(shown.code == 0);
  CHECK(shown.out.find("glj1") == std::string::npos);
  CHECK(shown.out.find("(not shown)") != std::string::npos);
}

}  // namespace
}  // namespace germline::cli
