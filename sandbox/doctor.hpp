// doctor: what this machine offers to the native backend, as a list that people read. Probes only;
// changes nothing that outlives the call. Any thread.
#pragma once

#include <string>
#include <vector>

namespace germline {

struct doctor_check {
  std::string name;
  bool ok = false;
  bool required = true;  // false: something works worse without it
  std::string detail;    // what was found
  std::string hint;      // what to do where it is not ok
};

std::vector<doctor_check> run_doctor();

}  // namespace germline
