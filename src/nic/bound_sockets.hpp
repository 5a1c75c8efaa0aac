// SPDX-License-Identifier: GPL-2.0-or-later
//
// Sockets that are bound to a link, by sock_diag(7). A kind that the kernel cannot list
// (CONFIG_INET_UDP_DIAG and its like, all on in Debian's) is left out.
#pragma once

#include <vector>

#include "nic/network.hpp"

namespace vfb::nic {

Result<std::vector<BoundSocket>> read_bound_sockets();

}  // namespace vfb::nic
