// archive: a run's generations by their fitness, as text, JSON Lines and CSV. Pure; any thread.
#pragma once

#include <cstddef>
#include <string>
#include <vector>

#include "cli/render/style.hpp"
#include "germline/v1/control.pb.h"

namespace germline::cli {

/// Whether its fitness is another's, whose source it has, and that is in the same tree.
bool is_listed_as_another(const v1::GetTreeReply& tree, const v1::GenerationInfo& generation);
/// Those that have a score, the best first: by the cautious end of the confidence interval, then by
/// the mean, then the older one. Those that were killed are among them. Who lacks a score of one of
/// its evaluations stands behind all that lack none, whatever the others say: a candidate could
/// choose which ones it fails. Point into `tree`.
std::vector<const v1::GenerationInfo*> ranking(const v1::GetTreeReply& tree);

/// The first `count` of a ranking; where one of them is barred, with a column that says so.
std::string render_ranking(const std::vector<const v1::GenerationInfo*>& ranked, std::size_t count,
                           const style& how);
std::string ranking_json(const std::vector<const v1::GenerationInfo*>& ranked, std::size_t count);

/// A line for each generation: as `show --json` has it, but for the cases and the context, with
/// the run's id and which way its fitness goes.
std::string archive_lines(const v1::GetTreeReply& tree);
/// RFC 4180, with a header. No field has a comma, a quote or a line's end.
std::string archive_csv(const v1::GetTreeReply& tree);

}  // namespace germline::cli
