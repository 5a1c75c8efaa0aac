// SPDX-License-Identifier: GPL-2.0-or-later
//
// Writing attributes of VFs: of each all or none, and read back.
#pragma once

#include <chrono>
#include <span>

#include "netlink_socket.hpp"
#include "nic/vf_attributes.hpp"

namespace vfb::nic {

// As Session::write_many().
Result<std::vector<Result<WriteReport>>> write_vfs(NetlinkSocket& socket, int ifindex,
                                                   std::span<const VfRequest> requests,
                                                   std::chrono::milliseconds timeout);

}  // namespace vfb::nic
