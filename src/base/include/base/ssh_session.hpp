// SPDX-License-Identifier: LGPL-2.1-or-later
//
// Whether a process belongs to an SSH session: who loses the network in the middle of a command
// cannot mend it any more.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>

#include "base/sys_root.hpp"

namespace vfb {

// Address of the other end of the session that `pid` was started from: SSH_CONNECTION (ssh(1)) in
// its environment or that of a process above it, since sudo(8) clears it. nullopt: it was not, or
// the environments may not be read (root or CAP_SYS_PTRACE reads those of other users).
std::optional<std::string> ssh_client_of(const Dir& proc, pid_t pid);

}  // namespace vfb
