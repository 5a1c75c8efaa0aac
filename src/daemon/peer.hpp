// SPDX-License-Identifier: GPL-2.0-or-later
#pragma once

#include <optional>

#include "base/sys_root.hpp"
#include "broker/model.hpp"

namespace vfb::daemon {

// Who is at the other end of a connected AF_UNIX socket: uid and all groups as the kernel recorded
// them at connect(2) (unix(7) SO_PEERCRED, SO_PEERGROUPS), and the process with its start time.
// `administrators` is the group whose members administer.
Result<broker::Caller> identify_peer(const SysRoot& root, int socket,
                                     std::optional<gid_t> administrators);

// The process that `caller` names as the one to use a lease. It must be the caller's own (all its
// uids are the caller's), unless the caller is root: the lease raises its limits and, with lent
// nodes, opens them to its uid.
Result<broker::User> identify_user(const SysRoot& root, const broker::Caller& caller,
                                   const ProcessId& process);

}  // namespace vfb::daemon
