// SPDX-License-Identifier: GPL-2.0-or-later
//
// Sockets that are bound to a link, by sock_diag(7). Where the kernel has no module for a kind of
// sockets, it has none of that kind to report.
#pragma once

#include <vector>

#include "nic/network.hpp"

namespace vfb::nic {

Result<std::vector<BoundSocket>> read_bound_sockets();

}  // namespace vfb::nic
