// SPDX-License-Identifier: GPL-2.0-or-later
//
// Asking the kernel for a link, and its answer for one VF.
#pragma once

#include "link_message.hpp"
#include "netlink_socket.hpp"

namespace vfb::nic {

// Code::lost when there is no such netdev.
Result<Link> read_link(NetlinkSocket& socket, int ifindex);
// Code::not_found: the PF has no such VF; Code::busy: the driver does not answer for it now;
// Code::unsupported: it answers for none.
Result<VfAttributes> attributes_of(const Link& link, unsigned index);
Result<VfAttributes> read_vf(NetlinkSocket& socket, int ifindex, unsigned index);

// Name of the netdev's driver, for messages (ethtool(8) -i); empty when it is not known.
std::string driver_of(const std::string& netdev);
// For messages: `VF 3 of enp1s0`.
std::string vf_name(const Link& link, unsigned index);

}  // namespace vfb::nic
