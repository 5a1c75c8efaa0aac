// SPDX-License-Identifier: GPL-2.0-or-later
//
// Whether the host uses a network device, by rtnetlink (uapi/linux/if_addr.h).
#pragma once

#include "base/result.hpp"

namespace vfb::nic {

// Whether somebody gave the device an address. Those that the kernel makes by itself on every
// device that is up (IPv6 link-local, and out of router advertisements) are nobody's.
Result<bool> has_addresses(int ifindex);

}  // namespace vfb::nic
