// Runs the germline-importer that was built, on packs that git itself made, and lets git judge what
// it answers.
#include <doctest/doctest.h>

#include <cstdlib>
#include <fstream>
#include <sstream>
#include <string>

#include "tests/support/temp_dir.hpp"
#include "worker/importer/wire.hpp"

using namespace germline;
using namespace germline::worker;

namespace {

void sh(const std::string& command) {
  const auto whole =
      "export GIT_CONFIG_NOSYSTEM=1 HOME=/nonexistent GIT_AUTHOR_NAME=a "
      "GIT_AUTHOR_EMAIL=a@b GIT_COMMITTER_NAME=a GIT_COMMITTER_EMAIL=a@b; " +
      command;
  CAPTURE(command);
  REQUIRE(std::system(whole.c_str()) == 0);
}

std::string slurp(const std::string& path) {
  const std::ifstream in(path, std::ios::binary);
  std::ostringstream text;
  text << in.rdbuf();
  return text.str();
}

void spill(const std::string& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary) << bytes;
}

std::string word(const std::string& path) {
  auto text = slurp(path);
  while (!text.empty() && text.back() == '\n') text.pop_back();
  return text;
}

}  // namespace

TEST_CASE("what git packed is imported, and git takes what is answered") {
  const tests::temp_dir dir;
  const auto d = dir.path();
  sh("cd " + d +
     " && git init -q -b main w && cd w && mkdir src protected && echo 1 >src/a && "
     "echo x >protected/run && echo 'schema = 1' >genome.toml && "
     "echo '{\"goalState\":\"\",\"history\":[]}' >agent_context.json && git add -A && "
     "git commit -qm seed && git rev-parse HEAD >../parent && "
     "git pack-objects -q --revs --no-reuse-delta --window=0 --stdout <../parent >../p.pack && "
     "git checkout -qb lineage && echo 2 >src/b && chmod +x src/b && git add -A && "
     "git commit -qm one && ln -s src/b link && git add -A && git commit -qm two && "
     "git rev-parse HEAD >../candidate && (cat ../candidate; echo ^$(cat ../parent)) | "
     "git pack-objects -q --revs --no-reuse-delta --window=0 --stdout >../c.pack");
  import_job job;
  job.parent_commit = word(d + "/parent");
  job.candidate_commit = word(d + "/candidate");
  job.protected_globs = {"protected/**"};
  job.subject = "Generation 1";
  job.append = context_entry{"2026-01-01T00:00:00.000Z", "evolve", true, "added b"};
  spill(d + "/in", encode_input(job, slurp(d + "/p.pack"), slurp(d + "/c.pack")));
  sh(std::string(GERMLINE_IMPORTER) + " <" + d + "/in >" + d + "/out");
  const auto out = decode_output(slurp(d + "/out"));
  REQUIRE(out);
  REQUIRE_MESSAGE(out->verdict == import_verdict::candidate, out->details);
  CHECK(out->changed_paths.size() == 2);
  spill(d + "/answer.pack", out->pack);
  sh("cd " + d +
     " && git init -q --bare s.git && cd s.git && "
     "git index-pack --strict --stdin <../p.pack >/dev/null && "
     "git index-pack --strict --stdin <../answer.pack >/dev/null && "
     "git update-ref refs/heads/x " +
     out->commit + " && git update-ref refs/raw " + out->raw_commit +
     " && git fsck --strict --full 2>/dev/null && "
     "test \"$(git show x:src/b)\" = 2 && test $(git rev-parse x^) = " +
     job.parent_commit +
     " && git show x:agent_context.json | grep -q 'added b' && "
     "git log -1 --format='%(trailers:key=Germline-Fence)' x | grep -q 0");

  // Broken frames end with an error that is itself a frame, never with a crash.
  spill(d + "/in", "nonsense");
  sh(std::string(GERMLINE_IMPORTER) + " <" + d + "/in >" + d + "/out");
  const auto failed = decode_output(slurp(d + "/out"));
  REQUIRE(failed);
  CHECK(failed->verdict == import_verdict::error);
}
