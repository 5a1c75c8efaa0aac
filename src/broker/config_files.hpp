// SPDX-License-Identifier: GPL-2.0-or-later
//
// The files of the configuration as they lie in its directory.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "broker/config.hpp"

namespace vfb::broker {

// Whether a file of that name is read: `*.toml`, and not hidden.
bool is_config_file(std::string_view name);

// What the files of the directory say, by their paths; of those in `instead` (by name), what that
// says. What cannot be read is added to `problems` and left out. Waits for no file: what is none
// (a pipe, a device) is a problem.
ConfigTexts read_config_files(const std::string& directory, const FileTexts& instead,
                              std::vector<Problem>& problems);

}  // namespace vfb::broker
