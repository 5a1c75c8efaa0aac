// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Processes that are named by a descriptor (pidfd_open(2)) and not by a number.
#pragma once

#include "base/process.hpp"

namespace vfb {

// Identity of the process that a pidfd of ours is of, as procfs numbers it. Code::invalid when it
// is no pidfd, Code::not_found when the process has ended.
Result<ProcessId> identify_pidfd(int pidfd);

}  // namespace vfb
