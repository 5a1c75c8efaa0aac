// SPDX-License-Identifier: GPL-2.0-or-later
//
// One file of the configuration: from TOML to values, each checked by itself.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "broker/config.hpp"

namespace vfb::broker {

// Appends the tables of one file to `config` (without comparing them to what is there), and what is
// wrong with them to `problems`. Tables that are wrong are appended as far as they are right; of
// those that are no TOML, the first mistake is reported and nothing is appended.
void parse_file(std::string_view text, const std::string& file, const AccountResolver& accounts,
                Config& config, std::vector<Problem>& problems);

// `did you mean 'vfs'?`, or nothing.
std::string did_you_mean(std::string_view text, const std::vector<std::string_view>& candidates);

}  // namespace vfb::broker
