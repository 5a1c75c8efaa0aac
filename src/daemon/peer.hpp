// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include "base/sys_root.hpp"
#include "broker/model.hpp"

namespace vfb::daemon {

// Who is at the other end of a connected AF_UNIX socket: uid and all groups as the kernel recorded
// them at connect(2) (unix(7) SO_PEERCRED, SO_PEERGROUPS), and the process with its start time.
Result<broker::Caller> identify_peer(const SysRoot& root, int socket);

}  // namespace vfb::daemon
