// arguments: the command line as people type it, and its help. Binds flags to the options of
// commands; decides nothing else. Main thread only.
#pragma once

namespace germline::cli {

/// Parses, runs the command, and returns the process's exit code.
int run_command_line(int argc, char** argv);

}  // namespace germline::cli
