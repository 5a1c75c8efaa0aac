// SPDX-License-Identifier: GPL-2.0-or-later
//
// The checks of the host where no daemon runs to make them.
#pragma once

#include "base/result.hpp"
#include "proto/json.hpp"

namespace vfb::cli {

// Runs `vfbrokerd --doctor`, the one installed beside this program or else that of PATH, and
// returns what it printed: the reply that Diagnose would give. Its standard error is ours.
Result<proto::Json> check_host();

}  // namespace vfb::cli
