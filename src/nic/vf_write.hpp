// SPDX-License-Identifier: GPL-2.0-or-later
//
// Writing attributes of one VF: all or none, and read back.
#pragma once

#include <chrono>

#include "netlink_socket.hpp"

namespace vfb::nic {

// As Session::write().
Result<WriteReport> write_vf(NetlinkSocket& socket, int ifindex, unsigned index,
                             const VfAttributes& wanted, std::chrono::milliseconds timeout);

}  // namespace vfb::nic
