// SPDX-License-Identifier: GPL-2.0-or-later
//
// What the daemon's program does without a daemon: the checks of the host and of the configuration.
#pragma once

#include <string>

#include "base/result.hpp"
#include "proto/json.hpp"

namespace vfb::cli {

// The program is the one installed beside this one, or else that of PATH; its standard error is
// ours.

// Runs `vfbrokerd --doctor` and returns what it printed: the reply that Diagnose would give.
Result<proto::Json> check_host();

// Runs `vfbrokerd --check`, which prints what it finds as this program would. Returns its exit
// status. `directory` empty: that of the configuration.
Result<int> check_configuration(const std::string& directory, bool json);

}  // namespace vfb::cli
