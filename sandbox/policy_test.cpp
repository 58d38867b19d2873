#include "sandbox/policy.hpp"

#include <doctest/doctest.h>

#include "sandbox/wire.hpp"

namespace germline {
namespace {

sandbox_policy_spec full_spec() {
  sandbox_policy_spec spec;
  spec.memory_bytes = 64 << 20;
  spec.workspace_lower = "/srv/exports/tree";
  spec.mounts.push_back({"/srv/exports/seed", "/germline/seed", uid_role::agent});
  spec.scratch.push_back({"/germline/scratch", uid_role::candidate, 8192});
  spec.files.push_back({"/germline/task.json", "{}"});
  spec.gateway_port = 8080;
  spec.allow_candidate_exec = true;
  return spec;
}

}  // namespace

TEST_CASE("a policy survives the wire") {
  const auto policy = sandbox_policy::make(full_spec());
  REQUIRE(policy.has_value());
  const auto again = sandbox_policy::decode(policy->encode());
  REQUIRE(again.has_value());
  CHECK(again->encode() == policy->encode());
  CHECK(again->spec().mounts.at(0).target == "/germline/seed");
  CHECK(again->spec().mounts.at(0).shown_owner == uid_role::agent);
  CHECK(again->spec().files.at(0).contents == "{}");
  CHECK(again->spec().gateway_port == 8080);
  CHECK(again->weakened_layers() == 0);
}

TEST_CASE("every truncation and every added byte is refused") {
  const auto bytes = sandbox_policy::make(full_spec())->encode();
  for (std::size_t size = 0; size < bytes.size(); ++size) {
    CAPTURE(size);
    CHECK_FALSE(sandbox_policy::decode(std::string_view(bytes).substr(0, size)).has_value());
  }
  CHECK_FALSE(sandbox_policy::decode(bytes + "x").has_value());
}

TEST_CASE("targets that the launcher fills, or that are not clean, are refused") {
  for (const auto* target : {"", "relative", "/", "/usr", "/usr/lib/x", "/etc/passwd", "/proc/x",
                             "/a/../b", "/a//b", "/a/", "/a/./b", "/germline/bin/x", "/workspace",
                             "/germline/run.sock", "/dev/x", "/tmp/x", "/home/agent"}) {
    CAPTURE(target);
    auto spec = full_spec();
    spec.mounts[0].target = target;
    CHECK_FALSE(sandbox_policy::make(spec).has_value());
  }
  auto spec = full_spec();
  spec.mounts[0].target = "/workspace/below";  // a link of the lower layer's could lead elsewhere
  CHECK_FALSE(sandbox_policy::make(spec).has_value());
  spec.workspace_lower.clear();
  CHECK(sandbox_policy::make(spec).has_value());
}

TEST_CASE("numbers and counts have bounds") {
  auto spec = full_spec();
  spec.memory_bytes = 0;
  const auto refused = sandbox_policy::make(spec);
  REQUIRE_FALSE(refused.has_value());
  CHECK(refused.error().message().find("memory_bytes is 0") != std::string::npos);
  spec = full_spec();
  spec.files[0].contents.assign(sandbox_policy::files_bytes_max + 1, 'x');
  CHECK_FALSE(sandbox_policy::make(spec).has_value());
  spec = full_spec();
  spec.mounts.assign(sandbox_policy::mounts_max + 1, spec.mounts[0]);
  CHECK_FALSE(sandbox_policy::make(spec).has_value());
}

TEST_CASE("a wire reader never reads past its bytes") {
  wire::writer out;
  out.text("abc").list({"x", "y"});
  wire::reader in(out.bytes());
  CHECK(in.text() == "abc");
  CHECK(in.list() == std::vector<std::string>{"x", "y"});
  CHECK(in.finished());
  CHECK(in.i64() == 0);
  CHECK_FALSE(in.ok());
  wire::writer lying;
  lying.u32(0xFFFFFFFFU);
  wire::reader text(lying.bytes());
  CHECK(text.text().empty());
  CHECK_FALSE(text.ok());
  wire::reader list(lying.bytes());
  CHECK(list.list().empty());
  CHECK_FALSE(list.ok());
}

}  // namespace germline
