// archive_views: generations by their numbers: chosen, traded off, or spread over a grid, as text
// and JSON. Pure; any thread.
#pragma once

#include <string>
#include <vector>

#include "cli/render/archive_numbers.hpp"
#include "cli/render/style.hpp"

namespace germline::cli {

/// A row each, with a column for each of the numbers named; where one is barred, with one that says
/// so.
std::string render_numbered(const std::vector<const numbered*>& rows,
                            const std::vector<std::string>& names, const style& how);
/// An array of objects: generation_id, lineage_id, number, barred, and numbers by their names.
std::string numbered_json(const std::vector<const numbered*>& rows);

/// The best fitness of each cell, the highest y first, and how much of the grid has any.
std::string render_grid(const grid& of, const style& how);
std::string grid_json(const grid& of);

}  // namespace germline::cli
