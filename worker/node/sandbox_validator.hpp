// sandbox_validator: the validator of the product. Judges a canonical commit in fresh sandboxes:
// build from an empty directory, the genome's own tests, the protected tests, probation. Stores the
// artefact that it sealed. Shared by all attempts of a worker; thread-safe as they are.
#pragma once

#include <string>

#include "worker/node/artefact_cache.hpp"
#include "worker/node/validator.hpp"

namespace germline::worker {

class sandbox_validator final : public validator {
 public:
  /// `programs_dir` holds germline-stand-in; it and the artefacts lie beneath the exports root.
  sandbox_validator(artefact_cache& artefacts, std::string programs_dir)
      : artefacts_(artefacts), programs_dir_(std::move(programs_dir)) {}

  result<judgement> judge(sandbox_set& sandboxes, const judge_request& request,
                          const phase_sink& phase) override;

 private:
  result<std::optional<refusal>> judge_protected(sandbox_set& sandboxes,
                                                 const judge_request& request,
                                                 const std::string& artefact_dir,
                                                 judgement& verdict);

  artefact_cache& artefacts_;
  std::string programs_dir_;
};

}  // namespace germline::worker
