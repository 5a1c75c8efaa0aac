// SPDX-License-Identifier: GPL-2.0-or-later
//
// Findings as people read them: a line each, the level first, and what to do below it.
#pragma once

#include <string>
#include <vector>

#include "proto/json.hpp"

namespace vfb::cli {

// Each an object as io.vfbroker Finding. `subject` is not repeated in the lines that are about it.
std::string set_out_findings(const std::vector<proto::Json>& findings, const std::string& subject,
                             bool coloured);

}  // namespace vfb::cli
