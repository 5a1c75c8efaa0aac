// SPDX-License-Identifier: GPL-2.0-or-later
//
// Becoming another program.
#pragma once

#include <string>
#include <vector>

#include "base/result.hpp"

namespace vfb::cli {

// execvp(3) with standard input, output and error and the descriptors `kept` open, and no others.
// Returns only when that fails, with everything open as before.
Error execute(const std::vector<std::string>& words, const std::vector<int>& kept);

}  // namespace vfb::cli
