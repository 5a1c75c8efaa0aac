// SPDX-License-Identifier: GPL-2.0-or-later
//
// The folder of CDI specifications, of which those of vfbroker are ours and all others are not.
#pragma once

#include <map>
#include <string>

#include "base/result.hpp"

namespace vfb::cdi {

// Makes our files there what `wanted` says, text by name: those that differ are written aside and
// renamed, those that it does not have are removed. Makes the folder. Goes on past a failure, and
// returns the first.
Result<> keep_files(const std::string& folder, const std::map<std::string, std::string>& wanted);

}  // namespace vfb::cdi
