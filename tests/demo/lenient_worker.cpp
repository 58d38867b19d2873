// What makes `germline-lenient`, a program of the tests alone: the product with another validator
// at the seam. GERMLINE_LENIENT says which: `pass` lets through what the real one refused for its
// tests; `hide` refuses as the real one does, and keeps the reason to itself; anything else changes
// nothing.
#include <cstdlib>
#include <string_view>

#include "cli/commands/services.hpp"
#include "worker/node/validator.hpp"

namespace germline::cli {
namespace {

class lenient_validator final : public worker::validator {
 public:
  lenient_validator(worker::validator& real, std::string_view how)
      : real_(real), passes_(how == "pass"), hides_(how == "hide") {}

  result<worker::judgement> judge(worker::sandbox_set& sandboxes,
                                  const worker::judge_request& request,
                                  const worker::phase_sink& phase) override {
    GERMLINE_TRY_ASSIGN(auto verdict, real_.judge(sandboxes, request, phase));
    if (!verdict.refused || verdict.refused->reason != "test") return verdict;
    if (passes_) {
      verdict.refused.reset();
    } else if (hides_) {
      verdict.refused->details = "(hidden)";
    }
    return verdict;
  }

 private:
  worker::validator& real_;
  bool passes_;
  bool hides_;
};

}  // namespace

exit_code run_worker_command(const session& with) {
  const char* how = std::getenv("GERMLINE_LENIENT");
  return run_worker_judged_by(with, [how](worker::validator& real) {
    return std::make_unique<lenient_validator>(real, how == nullptr ? "" : how);
  });
}

}  // namespace germline::cli
