// SPDX-License-Identifier: GPL-2.0-or-later
//
// Who has a MAC address on this host: two of one address on a network answer for each other.
#pragma once

#include <string>
#include <vector>

#include "base/result.hpp"
#include "base/sys_root.hpp"
#include "nic/vf_attributes.hpp"

namespace vfb::nic {

// Netdevs of all network namespaces, and VFs of the PFs in ours, each as it is said: `eth0`, `veth1
// in the network namespace web`, `VF 3 of eth0`. VF `index` of the netdev `ifindex` is left out: it
// is who wants it. Asks every driver that has VFs: belongs into a worker.
Result<std::vector<std::string>> mac_holders(const SysRoot& root, const MacAddress& mac,
                                             int ifindex, unsigned index);

}  // namespace vfb::nic
