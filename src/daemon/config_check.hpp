// SPDX-License-Identifier: GPL-2.0-or-later
//
// `vfbrokerd --check`: all that is wrong with a configuration, without a daemon. Reads only.
#pragma once

#include <string>
#include <vector>

#include "base/sys_root.hpp"
#include "broker/config.hpp"
#include "proto/json.hpp"

namespace vfb::daemon {

struct ConfigReport {
    std::string directory;
    std::vector<std::string> files;         // that were read
    std::vector<broker::Problem> problems;  // in the order in which one reads the files
    std::vector<broker::Problem> notes;     // what is no mistake, and may be none that was meant
};

// The files by themselves, and if those are right, what they ask of PFs that this machine has: a PF
// that it does not have is a note, for the configuration may be another machine's. `must_exist`:
// that the directory is missing is a problem, and not only nothing to manage.
ConfigReport check_directory(const std::string& directory, bool must_exist, const SysRoot& root);

// A paragraph for each problem and note, and a last line with their number.
std::string to_text(const ConfigReport& report);
proto::Json to_json(const ConfigReport& report);

}  // namespace vfb::daemon
