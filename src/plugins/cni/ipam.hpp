// SPDX-License-Identifier: GPL-2.0-or-later
//
// Delegation: another CNI plugin does a part of the work (CNI specification, section 4), as it is
// found in CNI_PATH, with the environment and the configuration that we were given.
#pragma once

#include <string>

#include "config.hpp"

namespace vfb::cni {

// What it printed, as JSON; null when it printed nothing. Its own failure, number and words, is the
// Failure that is returned. `command` takes the place of CNI_COMMAND.
Outcome<proto::Json> delegate(const std::string& plugin, const std::string& command,
                              const Environment& environment, const Config& config);

}  // namespace vfb::cni
